// The page's one script: it asks for pictures, and shows every second how they stand.
const at = id => document.getElementById(id);
const form = at("ask");
const gallery = document.body.dataset.gallery;
const largest = Number(document.body.dataset.largest);
const here = path => `${path}?gallery=${encodeURIComponent(gallery)}`;
const clone = id => at(id).content.firstElementChild.cloneNode(true);
const asText = name => name.replaceAll("_", " ");
const kind = () => form.elements.kind.value;
const setting = name => form.querySelector(`fieldset:enabled [name=${name}]`);
const silent = "The studio does not answer. Is it still running, where it was started?";

// A screen reader speaks what changes: what stays the same is left alone.
function say(element, sentence) {
  if (element.textContent !== sentence) element.textContent = sentence;
}

// A photo lies on what was made of it, up to where its slider stands.
document.addEventListener("input", event => {
  if (event.target.matches(".pair input")) wipe(event.target);
});
document.addEventListener("load", event => {
  const {target} = event;
  if (target.matches?.(".before"))
    target.parentElement.style.setProperty("--ratio", target.naturalWidth / target.naturalHeight);
  if (form.contains(target)) recipe();
}, true);
const wipe = slider => slider.parentElement.style.setProperty("--at", slider.value);
for (const slider of document.querySelectorAll(".pair input")) wipe(slider);

// A photo and a painting: one's own file, or one of ours; the one chosen last counts.
const sources = [...document.querySelectorAll(".source")];
for (const source of sources) {
  const file = source.querySelector("[type=file]");  // a second one is the camera
  const own = source.querySelector(".drop img");
  source.taken = () => file.files[0];
  source.chosen = () => {
    const says = source.querySelector("[role=status]");
    const tile = source.querySelector(":checked")?.parentElement;
    own.hidden = true;
    if (!source.taken()) own.removeAttribute("src");
    source.image = tile?.querySelector("img") ?? own;
    source.title = tile?.querySelector("span").textContent ?? "";
    if (source.taken()) {
      source.title = source.taken().name.replace(/\.[^.]*$/, "");
      say(says, tooLarge(source.taken()) || `Chosen: ${source.title}`);
      if (!tooLarge(source.taken())) {
        URL.revokeObjectURL(own.src);
        own.src = URL.createObjectURL(source.taken());
        own.alt = `Chosen: ${source.title}`;
        own.onload = () => { own.hidden = false; };
      }
    } else say(says, tile?.title ?? "");
    recipe();
  };
  source.take = files => {
    for (const radio of source.querySelectorAll("[type=radio]")) radio.checked &&= !files.length;
    file.files = files;
    source.chosen();
  };
  source.addEventListener("change", event => {
    if (event.target.type === "file") return source.take(event.target.files);
    file.value = "";
    source.chosen();
  });
  source.addEventListener("drop", event => {
    if (event.dataTransfer.files.length) source.take(event.dataTransfer.files);
  });
}
// A file that misses its place must not take the page's.
for (const name of ["dragover", "drop"]) addEventListener(name, event => event.preventDefault());

function tooLarge(file) {
  return file.size > largest
    ? `${file.name} is larger than ${largest / 1e6} MB. Choose a smaller copy of it.` : "";
}

// What is asked for, how large it will be and how long it will take.
let pace = null;  // seconds that a step takes for each pixel, and that pass before the first
let ahead = 0;  // pictures that wait or are being made

function recipe() {
  const used = sources.filter(source => !source.disabled);
  const thumbs = at("bar").querySelectorAll("img");
  thumbs.forEach((thumb, i) => {
    thumb.hidden = !used[i]?.image?.getAttribute("src");
    if (!thumb.hidden && thumb.src !== used[i].image.src) thumb.src = used[i].image.src;
  });
  const {naturalWidth: width, naturalHeight: height} = used[0].image;
  if (!width || !pace) return say(at("recipe"), "");
  const side = Number(setting("side").value) / Math.max(width, height);
  const [w, h] = [Math.round(side * width), Math.round(side * height)];
  const painted = kind() === "paint";
  let seconds = painted ? 60 * setting("minutes").value : 0;
  for (let octave = 0; !painted && octave < setting("octaves").value; octave++)
    seconds += setting("steps").value * w * h * pace.dream / 1.96 ** octave;
  const steps = seconds / 2 / (w * h * pace.paint);  // half of the time is for that size
  const few = painted && steps < 5 ? " Too short for this size: choose more minutes." : "";
  const queue = ahead ? `, after ${ahead} other${ahead > 1 ? "s" : ""}` : "";
  say(at("recipe"), `${used.map(source => source.title).join(" + ")}${painted ? "" : " dreaming"} → `
    + `${w} × ${h} pixels, in about ${minutes(seconds + pace.warmup)}${queue}.${few}`);
}

function minutes(seconds) {
  if (seconds < 60) return `${Math.max(5, Math.ceil(seconds / 5) * 5)} seconds`;
  const count = Math.round(seconds / 60);
  return count === 1 ? "a minute" : `${count} minutes`;
}

function choose(settings) {
  form.elements.kind.value = settings.kind;
  for (const part of form.querySelectorAll("fieldset.paint, fieldset.dream"))
    part.disabled = !part.classList.contains(settings.kind);
  say(form.querySelector("#bar button"), kind() === "paint" ? "Paint it" : "Dream it");
  for (const [name, value] of Object.entries(settings)) {
    const field = setting(name);
    if (field?.type === "radio") form.elements[name].value = value;
    else if (field) field.value = value;
  }
  for (const source of sources) {
    const named = settings[source.querySelector("[type=radio]").name];
    if (named) source.querySelector("[type=file]").value = "";
    source.chosen();
  }
}

form.addEventListener("change", event => {
  // The photo is another one, unless it was chosen.
  const firsts = JSON.parse(form.dataset.firsts);
  const changed = event.target.name === "kind";
  const untouched = changed && Object.values(firsts).includes(form.elements.photo.value);
  if (changed) choose({kind: kind(), ...untouched && {photo: firsts[kind()]}});
  else recipe();
  say(at("says"), "");
});
for (const button of document.querySelectorAll("[data-like]"))
  button.addEventListener("click", () => {
    choose(JSON.parse(button.dataset.like));
    form.scrollIntoView();
    form.querySelector("#bar button").focus({preventScroll: true});
  });
choose({kind: kind()});

async function post(path, body) {
  const headers = {"X-XSRFToken": form.elements._xsrf.value};
  try {
    const answer = await fetch(here(path), {method: "POST", body, headers});
    return [await answer.text(), answer.ok];
  } catch {
    return [silent, false];
  }
}

form.addEventListener("submit", async event => {
  event.preventDefault();
  const taken = sources.filter(source => !source.disabled && source.taken());
  const refused = taken.map(source => tooLarge(source.taken())).find(Boolean);
  if (refused) return say(at("says"), refused);
  const body = new FormData(form);
  say(at("says"), "Asking …");
  const [answer, asked] = await post("/ask", body);
  say(at("says"), answer);
  await look();
  if (asked) at("stage").scrollIntoView();
});

const rows = new Map();  // a job's number -> its row

function row(job) {
  if (!rows.has(job.id)) {
    const made = clone("job");
    const cancel = made.querySelector("button");
    cancel.setAttribute("aria-label", `Cancel ${job.title}`);
    cancel.addEventListener("click", () => post(`/cancel/${job.id}`).then(look));
    made.querySelector("input").setAttribute("aria-label",
      `${job.title}: how much of the photo to see, in percent`);
    made.querySelector(".before").src = job.before;
    wipe(made.querySelector("input"));
    rows.set(job.id, made);
  }
  const made = rows.get(job.id);
  const ended = !["waiting", "working"].includes(job.state);
  say(made.querySelector("[role=status]"), job.says);
  made.querySelector("progress").value = job.share;
  made.querySelector("progress").hidden = made.querySelector("button").hidden = ended;
  const image = made.querySelector(".after");
  const whole = job.made ?? (job.kept && kept(job.kept));
  const shown = whole ?? job.preview ?? job.before;
  if (image.getAttribute("src") !== shown) {
    image.src = shown;
    image.alt = `${job.title}, ${ended ? "finished" : "so far"}`;
  }
  if (whole) {
    const link = made.querySelector("a");
    link.href = whole;
    link.download = job.kept ?? `${job.title}.png`;
    link.hidden = false;
  }
  return made;
}

const kept = name => `/kept/${encodeURIComponent(gallery)}/${encodeURIComponent(name)}`;

function picture(name) {
  const made = clone("picture");
  const [, date, title] = name.match(/^([\d-]+ [\d.]+) (.*)\.png$/) ?? [, "", name];
  const [image, download] = [made.querySelector("img"), made.querySelector(".button")];
  image.src = `${kept(name)}?small=1`;
  image.alt = made.querySelector("h3").textContent = asText(title);
  made.querySelector("p").textContent = date;
  for (const link of made.querySelectorAll("a")) link.href = kept(name);
  download.download = name;
  download.setAttribute("aria-label", `${download.textContent}: ${asText(title)}`);
  return made;
}

// What has not changed is left alone, and keeps the focus.
function hang(place, items, make) {
  const list = JSON.stringify(items.map(item => item.id ?? item));
  if (place.dataset.list === list) return;
  const focus = document.activeElement;
  place.replaceChildren(...items.map(make));
  if (place.contains(focus)) focus.focus({preventScroll: true});
  place.dataset.list = list;
}

let lost = false;
async function look() {
  try {
    const answer = await fetch(here("/state"));
    if (!answer.ok) throw new Error(await answer.text());
    const state = await answer.json();
    // The one that grows is the large one.
    state.jobs.sort((a, b) => (b.state === "working") - (a.state === "working"));
    state.jobs.forEach(row);
    hang(at("queue"), state.jobs, row);
    hang(at("gallery"), state.pictures, picture);
    at("hero").hidden = state.jobs.length > 0;
    at("mine").hidden = !state.pictures.length && !state.left_out.length;
    say(at("left-out"), state.left_out.length
      ? `Left out, for it cannot be read as a picture: ${state.left_out.join(", ")}` : "");
    ({pace, ahead} = state);
    recipe();
    lost = false;
  } catch (error) {
    if (!lost) say(at("says"), error instanceof TypeError ? silent : error.message);
    lost = true;
  }
}

async function follow() {
  if (!document.hidden) await look();
  setTimeout(follow, 1000);
}
follow();

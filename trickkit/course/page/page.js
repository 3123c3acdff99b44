// The page's one script: it asks for pictures, and shows every second how they stand.
const form = document.getElementById("ask");
const gallery = document.body.dataset.gallery;
const largest = Number(document.body.dataset.largest);
const here = path => `${path}?gallery=${encodeURIComponent(gallery)}`;
const clone = id => document.getElementById(id).content.firstElementChild.cloneNode(true);

// A screen reader speaks what changes: what stays the same is left alone.
function say(element, sentence) {
  if (element.textContent !== sentence) element.textContent = sentence;
}

// A photo and a painting: one's own file, or one of ours; the one chosen last counts.
for (const source of document.querySelectorAll(".source")) {
  const file = source.querySelector("[type=file]");
  const image = source.querySelector(".drop img");
  const says = source.querySelector(".drop [role=status]");
  const credit = source.querySelector(".credit");
  source.taken = () => file.files[0];

  function chosen() {
    const tile = source.querySelector(".tiles :checked");
    credit.textContent = tile ? tile.parentElement.title : "";
    image.hidden = true;
    if (!source.taken()) return say(says, "");
    for (const radio of source.querySelectorAll(".tiles input")) radio.checked = false;
    credit.textContent = "";
    const name = source.taken().name.replace(/\.[^.]*$/, "");
    say(says, tooLarge(source.taken()) || `Chosen: ${name}`);
    if (tooLarge(source.taken())) return;
    URL.revokeObjectURL(image.src);
    image.src = URL.createObjectURL(source.taken());
    image.alt = `Chosen: ${name}`;
    image.onload = () => { image.hidden = false; };
  }
  file.addEventListener("change", chosen);
  source.querySelector(".tiles").addEventListener("change", () => { file.value = ""; chosen(); });
  chosen();

  source.addEventListener("drop", event => {
    if (!event.dataTransfer.files.length) return;
    file.files = event.dataTransfer.files;
    chosen();
  });
}
// A file that misses its place must not take the page's.
for (const name of ["dragover", "drop"]) addEventListener(name, event => event.preventDefault());

function tooLarge(file) {
  return file.size > largest
    ? `${file.name} is larger than ${largest / 1e6} MB. Choose a smaller copy of it.` : "";
}

async function post(path, body) {
  const headers = {"X-XSRFToken": form.elements._xsrf.value};
  try {
    return await (await fetch(here(path), {method: "POST", body, headers})).text();
  } catch {
    return "The studio does not answer. Is it still running, where it was started?";
  }
}

form.addEventListener("submit", async event => {
  event.preventDefault();
  const says = document.getElementById("says");
  const sources = [...document.querySelectorAll(".source")].filter(s => s.offsetParent);
  const refused = sources.map(s => s.taken() && tooLarge(s.taken())).find(Boolean);
  if (refused) return say(says, refused);
  // What is hidden belongs to the other kind of picture, and is not sent.
  const body = new FormData();
  for (const element of form.elements)
    if (element.name && element.offsetParent && (element.type !== "radio" || element.checked))
      body.append(element.name, element.type === "file" ? element.files[0] ?? "" : element.value);
  say(says, "Asking …");
  say(says, await post("/ask", body));
  look();
});

const rows = new Map();  // a job's number -> its row

function row(job) {
  if (!rows.has(job.id)) {
    const made = clone("job");
    const cancel = made.querySelector("button");
    cancel.setAttribute("aria-label", `Cancel ${job.title}`);
    cancel.addEventListener("click", () => post(`/cancel/${job.id}`).then(look));
    rows.set(job.id, made);
  }
  const made = rows.get(job.id);
  const ended = !["waiting", "working"].includes(job.state);
  say(made.querySelector("[role=status]"), job.says);
  made.querySelector("progress").value = job.share;
  made.querySelector("progress").hidden = made.querySelector("button").hidden = ended;
  const image = made.querySelector("img");
  const whole = job.made ?? (job.kept && kept(job.kept));
  const shown = whole ?? job.preview;
  if (shown && image.getAttribute("src") !== shown) {
    image.src = shown;
    image.alt = `${job.title}, ${ended ? "finished" : "so far"}`;
    image.hidden = false;
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
  const title = name.replace(/\.png$/, "");
  made.querySelector("img").src = `${kept(name)}?small=1`;
  made.querySelector("img").alt = title;
  made.querySelector("span").textContent = title;
  for (const link of made.querySelectorAll("a")) link.href = kept(name);
  made.querySelector(".download").download = name;
  return made;
}

let queued = "";  // what is shown: what has not changed is left alone, and keeps the focus
let hung = "";
let lost = false;
async function look() {
  try {
    const answer = await fetch(here("/state"));
    if (!answer.ok) throw new Error(await answer.text());
    const state = await answer.json();
    const made = state.jobs.map(row);
    if (made.length && queued !== String(state.jobs.map(job => job.id))) {
      document.getElementById("queue").replaceChildren(...made);
      queued = String(state.jobs.map(job => job.id));
    }
    if (state.pictures.length && hung !== String(state.pictures)) {
      document.getElementById("gallery").replaceChildren(...state.pictures.map(picture));
      hung = String(state.pictures);
    }
    say(document.getElementById("left-out"), state.left_out.length
      ? `Left out, for it cannot be read as a picture: ${state.left_out.join(", ")}` : "");
    lost = false;
  } catch (error) {
    if (!lost) say(document.getElementById("says"), error instanceof TypeError
      ? "The studio does not answer. Is it still running, where it was started?" : error.message);
    lost = true;
  }
}

async function follow() {
  if (!document.hidden) await look();
  setTimeout(follow, 1000);
}
follow();

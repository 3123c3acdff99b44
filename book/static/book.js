// Flip-books, and tables that sort and can be searched. Without it the first frame and the table are there.
for (const book of document.querySelectorAll(".flipbook")) {
  const frames = JSON.parse(book.querySelector("script").textContent);
  const [picture, slider, said] = ["img", "input", "output"].map((it) => book.querySelector(it));
  const folder = picture.src.slice(0, picture.src.lastIndexOf("/") + 1);
  const show = () => {
    const { label, alt } = frames[slider.value];
    picture.src = `${folder}${slider.value}.webp`;
    picture.alt = alt;
    said.textContent = label;
    slider.setAttribute("aria-valuetext", label);
  };
  slider.addEventListener("input", show);
  slider.disabled = false;
  // so that no frame is waited for while one drags
  book.addEventListener("pointerenter", () => frames.forEach((_, i) => (new Image().src = `${folder}${i}.webp`)), { once: true });
}

for (const home of document.querySelectorAll(".sorted-table")) {
  const body = home.querySelector("tbody");
  const rows = [...body.rows];
  const heads = [...home.querySelectorAll("th")];
  // numbers by their size, then words, then nothing
  const key = (words) => {
    const number = parseFloat(words.replace(/[,−]/g, (mark) => (mark === "−" ? "-" : "")));
    return [Number.isNaN(number) ? (words && words !== "–" ? 1 : 2) : 0, number, words];
  };
  const order = ([a, n, said], [b, m, other]) => a - b || n - m || said.localeCompare(other, "en");
  heads.forEach((head, column) => {
    head.innerHTML = `<button type="button">${head.innerHTML}</button>`;
    head.firstChild.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const by = (row) => key(row.cells[column].textContent.trim());
      rows.sort((a, b) => order(by(a), by(b)) * (up ? 1 : -1));
      body.append(...rows);
    });
  });
  const search = home.querySelector("input");
  search?.addEventListener("input", () => {
    const wanted = search.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    home.querySelector("output").textContent = `${rows.filter((row) => !row.hidden).length} rows`;
  });
}

// the theme's arrows that open a part of the contents have no name
for (const arrow of document.querySelectorAll(".bd-sidebar-primary summary")) {
  const part = arrow.closest("li")?.querySelector("a")?.textContent.trim();
  arrow.setAttribute("aria-label", `pages of ${part}`);
}

// on paper it is always day
let scheme;
addEventListener("beforeprint", () => {
  scheme = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
});
addEventListener("afterprint", () => (document.documentElement.dataset.theme = scheme));

// a page that is read from a file may open another, but not have it saved
if (location.protocol === "file:") {
  for (const link of document.querySelectorAll("a[download]:not([href^='data:'])")) {
    link.after(" (right-click, Save link as)");
  }
}

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
  const order = new Intl.Collator("en", { numeric: true });
  heads.forEach((head, column) => {
    head.innerHTML = `<button type="button">${head.innerHTML}</button>`;
    head.firstChild.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const by = (row) => row.cells[column].textContent.trim();
      rows.sort((a, b) => order.compare(by(a), by(b)) * (up ? 1 : -1));
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

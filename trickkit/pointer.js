// A photo, any patch of which is chosen by a click or with the arrow keys (widgets.Pointer).
function render({ model, el }) {
  const box = document.createElement("div");
  const image = document.createElement("img");
  const mark = document.createElement("div");
  box.className = "trickkit-pointer";
  box.tabIndex = 0;
  box.setAttribute("role", "application");
  box.style.cssText = "position: relative; width: 336px; height: 336px; cursor: crosshair";
  image.style.cssText = "width: 100%; height: 100%; user-select: none";
  image.draggable = false;
  image.alt = "";
  mark.style.cssText =
    "position: absolute; box-sizing: border-box; border: 2px solid #e69f00;" +
    "outline: 1px solid black; pointer-events: none";
  box.append(image, mark);
  el.append(box);

  const draw = () => {
    const count = model.get("patches");
    const [row, column] = model.get("value");
    image.src = model.get("source");
    mark.style.width = mark.style.height = `${100 / count}%`;
    mark.style.top = `${(100 * row) / count}%`;
    mark.style.left = `${(100 * column) / count}%`;
    box.setAttribute(
      "aria-label",
      `${model.get("label")}, row ${row + 1}, column ${column + 1} of ${count}.` +
        " Click a patch, or move with the arrow keys."
    );
  };
  const choose = (...place) => {
    const last = model.get("patches") - 1;
    model.set("value", place.map((at) => Math.min(Math.max(at, 0), last)));
    model.save_changes();
  };
  box.addEventListener("click", (event) => {
    const { top, left, width, height } = box.getBoundingClientRect();
    const count = model.get("patches");
    choose(
      Math.floor((count * (event.clientY - top)) / height),
      Math.floor((count * (event.clientX - left)) / width)
    );
    box.focus();
  });
  box.addEventListener("keydown", (event) => {
    const [down, right] =
      { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ??
      [0, 0];
    if (!down && !right) return;
    event.preventDefault();
    event.stopPropagation(); // the notebook would go to the next cell
    const [row, column] = model.get("value");
    choose(row + down, column + right);
  });
  for (const name of ["value", "source", "label", "patches"]) model.on(`change:${name}`, draw);
  draw();
}
export default { render };

// Three things that JupyterLab leaves out. It is read as it stands: no tool builds it.
(() => {
  let shared; // JupyterLab's own modules, by name and version

  const of = async (name) => (await Object.values(shared[name])[0].get())();

  // A picture's words lie in its output's metadata, {"image/png": {"alt": "…"}}, where JupyterLab
  // does not look. This puts them on the picture.
  const pictures = async () => {
    const { IRenderMimeRegistry, imageRendererFactory } = await of("@jupyterlab/rendermime");
    const withAlt = {
      ...imageRendererFactory,
      createRenderer(options) {
        const renderer = imageRendererFactory.createRenderer(options);
        const render = renderer.render.bind(renderer);
        renderer.render = async (model) => {
          await render(model);
          const words = model.metadata[options.mimeType]?.alt;
          if (words) renderer.node.querySelector("img").alt = words;
        };
        return renderer;
      },
    };
    return {
      id: "trickkit-lab:pictures",
      description: "Gives a picture in a notebook the words that its metadata has for it.",
      autoStart: true,
      requires: [IRenderMimeRegistry],
      activate: (_, registry) => registry.addFactory(withAlt),
    };
  };

  // A slider has its name and its value beside it, and tells a screen reader neither.
  const sliders = () => {
    const tell = (handle, attribute, words) => {
      if (words && handle.getAttribute(attribute) !== words) handle.setAttribute(attribute, words);
    };
    const tellAll = () => {
      for (const handle of document.querySelectorAll(".widget-slider .noUi-handle")) {
        const box = handle.closest(".widget-slider");
        tell(handle, "aria-label", box.querySelector(".widget-label")?.textContent);
        tell(handle, "aria-valuetext", box.querySelector(".widget-readout")?.textContent);
      }
    };
    let waits = false; // one look a frame, however much has changed
    const look = () => {
      if (waits) return;
      waits = true;
      requestAnimationFrame(() => ((waits = false), tellAll()));
    };
    return {
      id: "trickkit-lab:sliders",
      description: "Tells a slider's name and value to a screen reader.",
      autoStart: true,
      activate: () =>
        new MutationObserver(look).observe(document.body, {
          subtree: true,
          childList: true,
          characterData: true,
          attributes: true,
          attributeFilter: ["aria-valuetext"],
        }),
    };
  };

  // In a room (trickkit/course/room), a button above each lesson that asks the teacher for help.
  const hand = async () => {
    const { Widget } = await of("@lumino/widgets");
    const { Notification } = await of("@jupyterlab/apputils");
    const { PageConfig, URLExt } = await of("@jupyterlab/coreutils");
    const { ServerConnection } = await of("@jupyterlab/services");
    const settings = ServerConnection.makeSettings();
    const ask = async (init = {}) => {
      const place = URLExt.join(settings.baseUrl, "trickkit", "hand");
      const answer = await ServerConnection.makeRequest(place, init, settings);
      const said = await answer.json();
      if (!answer.ok) throw new Error(said.message);
      return said.up;
    };
    const buttons = new Set();
    let up = false;
    const show = () => {
      for (const button of buttons) {
        button.textContent = up ? "You asked for help: take it back" : "Help me";
        button.title = up
          ? "Your teacher knows"
          : "Tells the teacher that you would like help with this lesson";
        button.setAttribute("aria-pressed", up);
      }
    };
    const look = async () => {
      if (!up) return;
      try {
        up = await ask();
      } catch {
        return; // a server that is being started again
      }
      show();
      const words = "Your teacher has answered your call. Press Help me to call again.";
      if (!up) Notification.info(words, { autoClose: 20000 });
    };
    const createNew = (panel) => {
      const button = document.createElement("button");
      button.className = "jp-Button jp-mod-minimal jp-ToolbarButtonComponent trickkit-hand";
      button.style.cssText = "border: 1px solid; border-radius: 3px; font-weight: 600";
      button.onclick = async () => {
        const lesson = panel.context.path.replace(/^.*\/|\.ipynb$/g, "").replace("_", " ");
        try {
          up = await ask({ method: "POST", body: JSON.stringify({ lesson, up: !up }) });
        } catch (error) {
          return void Notification.error(`Not sent: ${error.message}`, { autoClose: false });
        }
        show();
      };
      const widget = new Widget();
      widget.addClass("jp-Toolbar-item");
      widget.node.append(button);
      widget.disposed.connect(() => buttons.delete(button));
      buttons.add(button);
      show();
      panel.toolbar.insertItem(0, "trickkit-hand", widget);
      return widget;
    };
    return {
      id: "trickkit-lab:hand",
      description: "Asks the teacher of a room for help.",
      autoStart: true,
      activate: async (app) => {
        if (!PageConfig.getOption("hubUser")) return; // nobody who could come
        try {
          up = await ask();
        } catch {
          return; // another hub, which knows of no hands
        }
        app.docRegistry.addWidgetExtension("Notebook", { createNew });
        setInterval(look, 10000); // whether the teacher has been there
      },
    };
  };

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB["trickkit-lab"] = {
    init: (scope) => void (shared = scope),
    get: async () => {
      const made = [await pictures(), sliders(), await hand()];
      return () => ({ __esModule: true, default: made });
    },
  };
})();

// A picture's words lie in its output's metadata, {"image/png": {"alt": "…"}}, where JupyterLab does
// not look. This puts them on the picture. It is read as it stands: no tool builds it.
(() => {
  let shared; // JupyterLab's own modules, by name and version

  const plugin = async () => {
    const [rendermime] = Object.values(shared["@jupyterlab/rendermime"]);
    const { IRenderMimeRegistry, imageRendererFactory } = (await rendermime.get())();
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
      id: "trickkit-alt-texts:plugin",
      description: "Gives a picture in a notebook the words that its metadata has for it.",
      autoStart: true,
      requires: [IRenderMimeRegistry],
      activate: (_, registry) => registry.addFactory(withAlt),
    };
  };

  window._JUPYTERLAB = window._JUPYTERLAB ?? {};
  window._JUPYTERLAB["trickkit-alt-texts"] = {
    init: (scope) => void (shared = scope),
    get: async () => {
      const made = await plugin();
      return () => ({ __esModule: true, default: made });
    },
  };
})();

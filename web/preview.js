// Shows the video on the node that samples it, as far as it is denoised: the event "inhabit.preview" of
// nodes/host/preview.py carries an animated WebP. The widget is neither saved with the workflow nor sent with a prompt.

import { app } from "../../scripts/app.js";

const SETTING = "Inhabit.AnimatedPreview";
const WIDGET = "inhabit_preview";
const HEIGHT = 180; // pixels, at least; a larger node shows a larger picture
const shown = new Set(); // nodes with a preview

app.registerExtension({
  name: "Inhabit.Preview",
  settings: [
    {
      id: SETTING,
      category: ["Inhabit", "Sampling", "Animated preview"],
      name: "Show the video on its sampler while it is sampled",
      tooltip: "All frames, small and in rough colours, on KSampler, SamplerCustomAdvanced and our own sampler.",
      type: "boolean",
      defaultValue: true,
      onChange: (wanted) => wanted || shown.forEach(remove),
    },
  ],
  setup() {
    app.api.addEventListener("inhabit.preview", ({ detail }) => show(detail));
    app.api.addEventListener("executing", ({ detail }) => clear(nodesOf(detail)));
  },
});

function show({ node: id, display_node: visible, type, webp }) {
  if (!app.extensionManager.setting.get(SETTING)) return;
  // Another workflow may be open meanwhile, whose node of this id is another one; a subgraph stands for its nodes.
  const [own, other] = [nodesOf(id), nodesOf(visible)];
  const nodes = own.at(-1)?.type === type ? own : other.filter((node) => node.type === type || node.subgraph);
  for (const node of nodes) {
    // A data URL, unlike an object URL, needs no freeing.
    (widgetOf(node) ?? add(node)).element.src = `data:image/webp;base64,${webp}`;
  }
}

// The node of an id as a prompt has it, behind the subgraphs it lies in, outermost first: "7", or "3:7" for node 7 in
// the subgraph of node 3. Empty for other ids.
function nodesOf(id) {
  let graph = app.rootGraph ?? app.graph;
  const nodes = [];
  for (const part of String(id ?? "").split(":")) {
    const node = graph?.getNodeById(part);
    if (!node) return [];
    nodes.push(node);
    graph = node.subgraph;
  }
  return nodes;
}

function widgetOf(node) {
  return node?.widgets?.find((widget) => widget.name === WIDGET);
}

function add(node) {
  const picture = document.createElement("img");
  picture.style.cssText = "width: 100%; height: 100%; object-fit: contain";
  const options = { serialize: false, hideOnZoom: false, getMinHeight: () => HEIGHT };
  const widget = node.addDOMWidget(WIDGET, "img", picture, options);
  widget.serialize = false; // the option keeps it out of the prompt, this out of the workflow
  fit(node);
  shown.add(node);
  const removed = node.onRemoved;
  node.onRemoved = function () {
    shown.delete(node);
    return removed?.apply(this, arguments);
  };
  return widget;
}

// The last of these nodes begins anew: an empty picture keeps its place.
function clear(nodes) {
  if (!widgetOf(nodes.at(-1))) return;
  nodes.forEach((node) => widgetOf(node)?.element.removeAttribute("src"));
}

function remove(node) {
  const height = node.size[1] - HEIGHT;
  node.removeWidget(widgetOf(node));
  node.setSize([node.size[0], Math.max(height, node.computeSize()[1])]);
  shown.delete(node);
}

function fit(node) {
  node.setSize([node.size[0], Math.max(node.size[1], node.computeSize()[1])]);
  node.setDirtyCanvas(true, true);
}

"use strict";
const all = (selector, of = document) => [...of.querySelectorAll(selector)];
const refreshSeconds = Number(document.body.dataset.refresh);
const key = "report " + location.pathname;
let touched = 0;

// Before and after: the slider cuts the upper picture.
for (const comparison of all(".comparison")) {
  const slider = comparison.querySelector("input");
  const cut = () => comparison.style.setProperty("--cut", slider.value + "%");
  slider.addEventListener("input", cut);
  comparison.addEventListener("pointermove", (event) => {
    if (event.target === slider || event.buttons !== 1) return;
    const box = comparison.getBoundingClientRect();
    slider.value = (100 * (event.clientX - box.left)) / box.width;
    touched = Date.now();
    cut();
  });
  for (const image of all("img", comparison)) image.draggable = false;
  cut();
}

// Samples: the slider chooses the step.
const time = document.getElementById("time");
const samples = all(".sample");
const showSample = () => {
  samples.forEach((sample, i) => (sample.hidden = i !== Number(time.value)));
  document.querySelector(".time output").textContent = samples[time.value].dataset.step;
};
time?.addEventListener("input", showSample);

// Curves: the value under the pointer.
for (const chart of all(".chart")) {
  const [first, last, low, high] = chart.dataset.frame.split(" ").map(Number);
  const places = chart.querySelector(".course").getAttribute("points").split(" ").map((p) => p.split(",").map(Number));
  const output = chart.querySelector("output");
  const now = output.textContent;
  const plot = chart.querySelector(".plot");
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    const x = (300 * (event.clientX - box.left)) / box.width;
    const [px, py] = places.reduce((a, b) => (Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a));
    const value = (high - (py / 100) * (high - low)).toPrecision(3);
    output.textContent = `step ${Math.round(first + (px / 300) * (last - first))}: ${Number(value)}`;
  });
  plot.addEventListener("pointerleave", () => (output.textContent = now));
}

const written = new Date(1000 * Number(document.body.dataset.written));
document.querySelector(".written").textContent =
  "as of " + written.toLocaleString() + (refreshSeconds ? "; this page refreshes itself" : "");

// Where the reader is, so that a refreshed page can be the same place.
const place = () => ({
  scroll: scrollY,
  cuts: all(".comparison input").map((slider) => slider.value),
  // At the end it stays at the end, and shows what is new.
  step: !time || time.value === time.max ? null : samples[time.value].dataset.step,
  open: all("details[open]").map((details) => details.id),
});
const goTo = ({ scroll, cuts, step, open }) => {
  all(".comparison input").forEach((slider, i) => {
    if (cuts[i] === undefined) return;
    slider.value = cuts[i];
    slider.dispatchEvent(new Event("input"));
  });
  if (time && step !== null) {
    // A sample that was thinned out: the next one that is left.
    const nearest = samples.findIndex((sample) => Number(sample.dataset.step) >= Number(step));
    time.value = nearest < 0 ? time.max : nearest;
    showSample();
  }
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  scrollTo(0, scroll);
};
const refresh = () => {
  try {
    sessionStorage.setItem(key, JSON.stringify(place()));
  } catch {
    // Without storage the page starts at its top.
  }
  location.reload();
};
try {
  const kept = sessionStorage.getItem(key);
  sessionStorage.removeItem(key);
  if (kept) goTo(JSON.parse(kept));
} catch {
  // As above.
}
if (refreshSeconds) {
  for (const event of ["pointerdown", "input", "keydown"]) addEventListener(event, () => (touched = Date.now()));
  // Not in the reader's hands, and not in the background.
  setInterval(() => {
    if (!document.hidden && Date.now() - touched > 5000) refresh();
  }, 1000 * refreshSeconds);
}

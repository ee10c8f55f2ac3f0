// Live elements. All values come from the page, where Python has put them; here they are looked up and drawn.
// Random chains are drawn here, from a seeded generator; tests compare their averages with the closed forms.
(() => {
  const [LEFT, RIGHT, TOP, BOTTOM, PANEL, CHAINS] = [52, 428, 10, 206, 120, 12]; // as in companion/live/page.py
  const SVG = "http://www.w3.org/2000/svg";
  const round = (value) => Math.round(value * 10) / 10;

  // Mulberry32: equal seeds give equal chains, in every browser.
  const generator = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const normal = (random) =>
    Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

  // Counts of every word, generation by generation: M draws from Zipf's shares, then from the last counts.
  const bag = (rows, words, generations, seed) => {
    const random = generator(seed);
    let weights = Array.from({ length: words }, (_, i) => 1 / (i + 1));
    const found = [];
    for (let g = 0; g < generations; g++) {
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      const counts = new Array(words).fill(0);
      for (let row = 0; row < rows; row++) {
        let left = random() * total;
        let word = 0;
        while (word < words - 1 && left >= weights[word]) left -= weights[word++];
        // Rounding may end at a word that is lost already.
        while (weights[word] === 0) word--;
        counts[word]++;
      }
      found.push(counts);
      weights = counts;
    }
    return found;
  };

  // Mean and variance of twelve chains, generation by generation: the scatter of M rows has M - 1 degrees of freedom.
  const bells = (rows, unbiased, generations, seed) => {
    const random = generator(seed);
    let chains = Array.from({ length: CHAINS }, () => ({ mean: 0, variance: 1 }));
    const found = [];
    for (let g = 0; g < generations; g++) {
      chains = chains.map(({ mean, variance }) => {
        let squares = 0;
        for (let k = 1; k < rows; k++) squares += normal(random) ** 2;
        return {
          mean: mean + Math.sqrt(variance / rows) * normal(random),
          variance: (variance * squares) / (unbiased ? rows - 1 : rows),
        };
      });
      found.push(chains);
    }
    return found;
  };

  const place = (axis, value) =>
    axis.log
      ? Math.log(value / axis.low) / Math.log(axis.high / axis.low)
      : (value - axis.low) / (axis.high - axis.low);
  const inside = (axis, value) => {
    const room = 1e-9 * (axis.high - axis.low);
    return axis.low - room <= value && value <= axis.high + room;
  };
  const plain = (value, digits) =>
    Number(value.toPrecision(digits)).toLocaleString("en-US", { maximumSignificantDigits: digits, useGrouping: false });
  const formed = (value, form) => {
    if (form === "%") {
      const scaled = 100 * value;
      if (scaled > 0 && scaled < 0.1) return `${plain(scaled, 2)} %`;
      const exact = Math.abs(scaled - Math.round(scaled)) > 1e-9 && (scaled < 10 || scaled > 99);
      return `${scaled.toFixed(exact ? 1 : 0)} %`;
    }
    if (!form) return plain(value, 3);
    const digits = Number(form);
    return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
  };
  const datum = (value, form, name) => {
    const data = document.createElement("data");
    data.value = String(value);
    if (name) data.dataset.name = name;
    data.textContent = formed(value, form);
    return data;
  };
  // Parts of a template: text, and numbers as <data> elements.
  const sentence = (template, numbers) =>
    template.split(/(\{\w+(?::[%\d]+)?\})/).map((part) => {
      const found = part.match(/^\{(\w+)(?::([%\d]+))?\}$/);
      return found ? datum(numbers[found[1]], found[2] ?? "", found[1]) : part;
    });

  // Screen readers say what is replaced; a sentence that reads the same is left, and only its numbers are kept exact.
  const put = (place, parts) => {
    const fresh = document.createElement("p");
    fresh.append(...parts);
    if (fresh.textContent !== place.textContent) place.replaceChildren(...fresh.childNodes);
    else place.querySelectorAll("data").forEach((data, i) => (data.value = fresh.querySelectorAll("data")[i].value));
  };

  const start = (box) => {
    const about = JSON.parse(box.querySelector("script[type='application/json']").textContent);
    const form = box.querySelector("form");
    const chart = box.querySelector(".live-chart");
    const panel = box.querySelector(".live-panel");
    const curves = [...chart.querySelectorAll(".live-curve")];
    const mark = chart.querySelector(".live-mark");
    const along = about.along.values;
    const x = (value) => round(LEFT + place(about.x, value) * (RIGHT - LEFT));
    const y = (value) => round(BOTTOM - place(about.y, value) * (BOTTOM - TOP));
    let seed = 1;
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());

    const index = (name) => Number(form.elements[name].value);
    const row = () =>
      about.rows[about.sliders.reduce((at, slider) => at * slider.values.length + index(slider.name), 0)];

    const stripes = (shares, last) => {
      // shares: generation -> parts
      const level = (share) => round(PANEL - 4 - share * (PANEL - 8));
      const parts = shares[0].length;
      const under = shares.map(() => 0);
      panel.replaceChildren();
      for (let part = 0; part < parts; part++) {
        const over = shares.map((each, g) => under[g] + each[part]);
        const there = Array.from({ length: last + 1 }, (_, g) => g);
        const points = [
          ...there.map((g) => `${x(along[g])} ${level(over[g])}`),
          ...there.reverse().map((g) => `${x(along[g])} ${level(under[g])}`),
        ];
        const area = document.createElementNS(SVG, "path");
        area.setAttribute("class", "live-stripe");
        area.style.setProperty("--part", part);
        area.setAttribute("d", `M${points.join("L")}Z`);
        panel.append(area);
        over.forEach((share, g) => (under[g] = share));
      }
    };
    const bell = ({ mean, variance }) => {
      const deviation = Math.sqrt(variance);
      const points = Array.from({ length: 65 }, (_, i) => {
        const at = Math.min(Math.max(mean + deviation * (i / 8 - 4), -5), 5);
        const height = Math.exp(-(((at - mean) / deviation) ** 2) / 2);
        return `${round(LEFT + ((at + 5) / 10) * (RIGHT - LEFT))} ${round(PANEL - 16 - height * (PANEL - 24))}`;
      });
      return `M${points.join("L")}`;
    };

    let kept = { key: "" };
    const chain = (setting, length) => {
      const key = JSON.stringify([seed, setting]);
      if (kept.key !== key) {
        const made =
          about.chance.kind === "bag"
            ? bag(setting.rows, setting.words, length, seed)
            : bells(setting.rows, setting.estimator === 1, length, seed);
        kept = { key, made };
      }
      return kept.made;
    };

    const show = () => {
      const at = index(about.along.name);
      const [which, numbers, parts] = row();
      const values = which.map((stored) => about.arrays[stored]);
      const setting = Object.fromEntries(about.sliders.map((slider) => [slider.name, slider.values[index(slider.name)]]));
      const said = { ...setting, ...numbers, [about.along.name]: along[at] };
      about.curves.forEach((curve, i) => (said[curve.name] = values[i][at]));

      about.curves
        .map((curve, i) => [curve, values[i]])
        .filter(([curve]) => curve.drawn)
        .forEach(([, heights], i) => {
          const points = along
            .map((g, k) => [g, heights[k]])
            .filter(([, height]) => inside(about.y, height))
            .map(([g, height]) => `${x(g)} ${y(height)}`);
          curves[i].setAttribute("d", points.length ? `M${points.join("L")}` : "");
        });
      mark.setAttribute("x1", x(along[at]));
      mark.setAttribute("x2", x(along[at]));
      put(box.querySelector(".live-said"), sentence(about.said, said));
      box.querySelectorAll("tbody tr").forEach((line, k) =>
        line.querySelectorAll("td").forEach((cell, i) => cell.replaceChildren(datum(values[i][k], ""))),
      );
      if (parts.length) stripes(along.map((_, g) => parts.map((stored) => about.arrays[stored][g])), at);
      if (about.chance) {
        const generation = along[at];
        const found = chain(setting, along[along.length - 1] + 1);
        if (about.chance.kind === "bag") {
          stripes(found.map((counts) => counts.map((count) => count / setting.rows)), at);
          said.chain = found[generation].filter(Boolean).length;
        } else {
          panel.querySelectorAll(".live-bell").forEach((line, i) => line.setAttribute("d", bell(found[generation][i])));
          const sorted = found[generation].map((each) => each.variance).sort((a, b) => a - b);
          said.chain = (sorted[CHAINS / 2 - 1] + sorted[CHAINS / 2]) / 2;
        }
        put(box.querySelector(".live-chance"), sentence(about.chance.said, said));
        form.elements.next.disabled = at === along.length - 1;
      }
      for (const input of form.querySelectorAll("input[type=range]")) {
        const slider = [...about.sliders, about.along].find((each) => each.name === input.name);
        const value = slider.words[input.value];
        input.setAttribute("aria-valuetext", value);
        input.labels[0].querySelector(".live-value").textContent = value;
      }
    };

    form.addEventListener("input", show);
    form.addEventListener("click", (event) => {
      const mover = form.elements[about.along.name];
      if (event.target.name === "next") mover.value = Number(mover.value) + 1;
      else if (event.target.name === "first") mover.value = 0;
      else if (event.target.name === "again") seed += 1;
      else return;
      show();
    });
    show();
  };

  window.liveElements = { bag, bells };
  const all = () => document.querySelectorAll("div.live[role=group]").forEach(start);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", all);
  else all();
})();

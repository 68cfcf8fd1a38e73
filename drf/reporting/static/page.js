// Makes the page's charts live and answers for every stock and factor. Needs nothing that a sandboxed frame forbids:
// no network, no storage, no address. Where anything fails, the pictures stay as they are.
(async () => {
  "use strict";
  const find = (id) => document.getElementById(id);
  const root = document.documentElement;

  async function unpacked(id) {
    const bytes = Uint8Array.from(atob(find(id).textContent), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).text();
  }

  const asked = JSON.parse(await unpacked("asked"));
  const script = document.createElement("script");
  script.textContent = await unpacked("plotly");
  document.head.append(script);
  if (!window.Plotly) return;
  root.classList.add("live");

  // ---- colours and common layout follow the page
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const themed = (value) => (value === "#000000" ? colour("--ink") : value); // black would not be seen on a dark page

  function coloured(trace) {
    const copy = { ...trace };
    for (const part of ["line", "marker"]) {
      if (copy[part] && typeof copy[part].color === "string") copy[part] = { ...copy[part], color: themed(copy[part].color) };
    }
    return copy;
  }

  function axis(own) {
    return { gridcolor: colour("--line"), zerolinecolor: colour("--soft"), automargin: true, ...own };
  }

  function layout(own) {
    const labels = (own.annotations || []).map((one) => ({ ...one, font: { ...one.font, color: themed(one.font.color) } }));
    return {
      height: 320, showlegend: false, hovermode: "closest",
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: colour("--ink"), size: 12 },
      margin: { l: 56, r: labels.length ? 84 : 16, t: 8, b: 40 }, legend: { orientation: "h", y: 1.02, yanchor: "bottom" },
      ...own, annotations: labels, xaxis: axis(own.xaxis), yaxis: axis(own.yaxis),
    };
  }

  const shown = new Map(); // place -> what it shows, to be drawn anew in other colours
  function draw(place, data, own) {
    shown.set(place, [data, own]);
    return Plotly.react(place, data.map(coloured), layout(own), { responsive: true, displayModeBar: false, displaylogo: false });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const [place, [data, own]] of shown) draw(place, data, own);
  });

  // ---- charts are drawn when they come near the screen
  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      watcher.unobserve(entry.target);
      const chart = asked.charts[Number(entry.target.dataset.chart)];
      draw(entry.target, chart.data, chart.layout);
    }
  }, { rootMargin: "600px" });
  document.querySelectorAll("[data-chart]").forEach((place) => watcher.observe(place));

  // ---- contents: a frame without an address of its own does not follow its own links
  document.querySelectorAll("nav a").forEach((link) => {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const target = find(link.getAttribute("href").slice(1));
      if (target) target.scrollIntoView();
    });
  });

  // both axes of a chart have their 0 at the same height
  function around(...series) {
    const largest = Math.max(1e-9, ...series.flat().map((value) => Math.abs(value || 0)));
    return [-1.08 * largest, 1.08 * largest];
  }
  const right = (own) => ({ overlaying: "y", side: "right", showgrid: false, zeroline: false, tickmode: "auto", ...own });

  const percent = (value, digits = 2) => (value === null ? "not known" : `${value < 0 ? "−" : "+"}${Math.abs(100 * value).toFixed(digits)} %`);

  if (asked.stocks) {
    const stocks = asked.stocks, { unit, names } = stocks;
    // a name as it is written; else without regard to case, where that is one stock's alone
    const position = new Map(names.map((name, k) => [name, k])), alike = new Map();
    names.forEach((name, k) => alike.set(name.toLowerCase(), [...(alike.get(name.toLowerCase()) || []), k]));
    function placeOf(text) {
      const name = text.trim(), found = alike.get(name.toLowerCase()) || [];
      return position.has(name) ? position.get(name) : found.length === 1 ? found[0] : undefined;
    }
    const place = find("stock"), level = find("level"), list = find("stock-names");
    const value = (whole) => (whole === null ? null : whole * unit);

    for (const name of Object.keys(stocks.groups)) level.add(new Option(name, name));

    function suggest(text) {
      const wanted = text.toLowerCase();
      const found = names.filter((name) => name.toLowerCase().includes(wanted)).slice(0, 40);
      list.replaceChildren(...found.map((name) => new Option(name)));
      return found;
    }

    function waterfall(k) {
      const { names: groups, of } = stocks.groups[level.value];
      const sums = groups.map(() => 0);
      stocks.cells[k].forEach((cell, j) => { sums[of[j]] += cell || 0; });
      const order = groups.map((_, j) => j).sort((a, b) => Math.abs(sums[b]) - Math.abs(sums[a]));
      const bars = [["intercept, rest", stocks.rest[k] || 0], ...order.map((j) => [groups[j], sums[j]])];
      let sum = 0;
      const base = bars.map(([, height]) => { const before = sum; sum += height; return before * unit; });
      const heights = bars.map(([, height]) => height * unit);
      const up = "#0072B2", down = "#D55E00", every = [...heights, sum * unit];
      return [{
        type: "bar", orientation: "h", y: [...bars.map(([name]) => name), "forecast"], x: every, base: [...base, 0],
        marker: { color: [...heights.map((height) => (height < 0 ? down : up)), colour("--soft")] },
        text: every.map((height) => percent(height)), textposition: "outside", textangle: 0, cliponaxis: false,
        constraintext: "none", textfont: { size: 11 }, hovertemplate: "%{y}: %{text}<extra></extra>",
      }];
    }

    function history(k) {
      const colours = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442"];
      const of = (column) => stocks.history[column].map((month) => value(month[k]));
      const bars = stocks.factors.map((factor, j) => ({
        type: "bar", name: factor, x: stocks.months, y: of(factor), marker: { color: colours[j % colours.length] },
        hovertemplate: "%{x}: %{y:+.2%}",
      }));
      const forecast = {
        type: "scatter", mode: "lines+markers", name: "forecast", x: stocks.months, y: of("forecast"),
        line: { color: "#000000", width: 2 }, marker: { size: 4, color: "#000000" }, hovertemplate: "%{x}: %{y:+.2%}",
      };
      const earned = {
        type: "scatter", mode: "markers", name: "came true (right axis)", x: stocks.months, y: of("earned"), yaxis: "y2",
        marker: { color: "#999999", symbol: "x", size: 7 }, hovertemplate: "%{x}: %{y:+.1%}",
      };
      return earned.y.some((one) => one !== null) ? [...bars, forecast, earned] : [...bars, forecast];
    }

    function words(k) {
      const weight = value(stocks.weight[k]), change = value(stocks.change[k]);
      const held = weight > 0 ? `long, ${percent(weight)} of that side` : weight < 0 ? `short, ${percent(-weight)} of that side` : "not held";
      const since = `; ${stocks.changed}: ${change ? percent(change) : "none"}`;
      return `${names[k]}, ${stocks.month}: forecast ${percent(value(stocks.forecast[k]))} a month, ${held}${since}.`;
    }

    function ask(name) {
      const k = placeOf(name);
      if (k === undefined) {
        const found = suggest(name.trim()).slice(0, 8);
        for (const id of ["waterfall", "stock-history"]) { shown.delete(find(id)); Plotly.purge(find(id)); }
        find("stock-words").textContent = found.length ? `Which one? ${found.join(", ")}` : `No stock here is called ${name.trim()}.`;
        return false;
      }
      place.value = names[k];
      find("stock-words").textContent = words(k);
      const parts = waterfall(k), ends = [0, ...parts[0].base.map((before, j) => before + parts[0].x[j])];
      const low = Math.min(...ends), high = Math.max(...ends), room = 0.3 * (high - low) || 1e-6; // for the numbers
      draw(find("waterfall"), parts, {
        xaxis: { tickformat: ".1%", range: [low - (low < 0 ? room : 0.05 * room), high + room] }, yaxis: { autorange: "reversed" },
        margin: { l: 56, r: 24, t: 8, b: 40 }, height: Math.max(380, 24 * parts[0].y.length + 60),
      });
      const told = history(k), sizes = stocks.months.map((_, m) => stocks.factors.reduce((sum, factor) => sum + Math.abs(value(stocks.history[factor][m][k]) || 0), 0));
      draw(find("stock-history"), told, {
        barmode: "relative", showlegend: true, height: 460, margin: { l: 56, r: 56, t: 8, b: 40 }, xaxis: { type: "category" },
        legend: { orientation: "h", y: 1.02, yanchor: "bottom", font: { size: 10 } },
        yaxis: { tickformat: ".1%", range: around(sizes, told[stocks.factors.length].y) },
        yaxis2: right({ tickformat: ".0%", range: around(told.at(-1).y) }),
      });
      return true;
    }

    place.addEventListener("input", () => { if (placeOf(place.value) !== undefined) ask(place.value); else suggest(place.value); });
    place.addEventListener("change", () => ask(place.value));
    level.addEventListener("change", () => ask(place.value));
    suggest("");
    ask(names[0]);

    document.querySelectorAll(".stocks td:first-child").forEach((cell) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      button.addEventListener("click", () => { if (ask(cell.textContent)) { find("ask").scrollIntoView(); place.focus(); } });
      cell.replaceChildren(button);
    });
  }

  if (asked.factors) {
    const factors = asked.factors, choice = find("factor");
    for (const name of factors.names) choice.add(new Option(name, name));
    const show = () => {
      const name = choice.value, summed = (values) => { let sum = 0; return values.map((v) => (sum += v || 0)); };
      const line = (label, values, own, dash) => ({
        type: "scatter", mode: "lines", name: label, x: factors.months, y: summed(values), line: { color: own, dash, width: 2 },
        hovertemplate: `%{x}: %{y:+.2%}`,
      });
      const bars = {
        type: "bar", name: "forecast, by month (right axis)", x: factors.months, y: factors.promised[name], yaxis: "y2",
        marker: { color: "#56B4E9" }, opacity: 0.6, hovertemplate: "%{x}: %{y:+.2%}",
      };
      draw(find("factor-history"), [bars, line("forecast, summed", factors.promised[name], "#0072B2", "dash"), line("earned, summed", factors.earned[name], "#D55E00", "solid")], {
        showlegend: true, margin: { l: 56, r: 56, t: 8, b: 40 },
        yaxis: { tickformat: ".0%", range: around(summed(factors.promised[name]), summed(factors.earned[name])) },
        yaxis2: right({ tickformat: ".1%", range: around(factors.promised[name]) }),
      });
    };
    choice.addEventListener("change", show);
    show();
  }
})();

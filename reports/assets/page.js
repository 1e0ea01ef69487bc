(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("data").textContent);
  var root = document.documentElement;
  var charts = [];

  function color(name) { return getComputedStyle(root).getPropertyValue("--" + name).trim(); }
  function two(n) { return (n < 10 ? "0" : "") + n; }
  function clock(s) {
    if (s == null) return "–";
    s = Math.round(s);
    var h = Math.floor(s / 3600), m = Math.floor(s % 3600 / 60);
    return h > 0 ? h + "h" + two(m) + "m" + (s % 60 ? two(s % 60) + "s" : "") : m + "m" + two(s % 60) + "s";
  }
  function short(n) {
    if (n == null) return "–";
    var units = ["", "k", "M", "G", "T"], i = 0;
    while (Math.abs(n) >= 10000 && i < units.length - 1 || i > 0 && Math.abs(n) >= 1000 && i < units.length - 1) { n /= 1000; i++; }
    return (i === 0 ? +n.toFixed(1) : +n.toPrecision(3)).toLocaleString("en") + units[i];
  }
  function ms(n) {
    if (n == null) return "–";
    return n >= 1000 ? +(n / 1000).toPrecision(3) + " s" : +n.toPrecision(3) + " ms";
  }
  function percent(x) {
    if (x == null) return "–";
    if (x <= 1) return "0 %";
    return +(100 * (1 - 1 / x)).toFixed(Math.max(0, Math.ceil(Math.log10(x)) - 1)) + " %";
  }

  // Fault windows are shaded below the lines; their labels stand above the plot.
  function faultsPlugin() {
    return { hooks: {
      drawClear: function (u) {
        var c = u.ctx;
        c.save();
        c.beginPath();
        c.rect(u.bbox.left, u.bbox.top, u.bbox.width, u.bbox.height);
        c.clip();
        data.faults.forEach(function (f) {
          var from = u.valToPos(f.from, "x", true), to = u.valToPos(f.to, "x", true);
          c.fillStyle = color("fault");
          c.fillRect(from, u.bbox.top, Math.max(to - from, 1), u.bbox.height);
          c.fillStyle = color("faultline");
          c.fillRect(from, u.bbox.top, uPlot.pxRatio, u.bbox.height);
          if (f.to > f.from) c.fillRect(to, u.bbox.top, uPlot.pxRatio, u.bbox.height);
        });
        c.restore();
      },
      draw: function (u) {
        var c = u.ctx, r = uPlot.pxRatio, right = u.bbox.left + u.bbox.width, used = u.bbox.left - 1;
        c.save();
        c.font = "600 " + 11.5 * r + "px system-ui, 'Liberation Sans', sans-serif";
        c.textAlign = "left";
        c.textBaseline = "bottom";
        c.fillStyle = color("faultink");
        data.faults.forEach(function (f, i) {
          var from = Math.max(u.valToPos(f.from, "x", true), u.bbox.left), to = u.valToPos(f.to, "x", true);
          if (from < used || from > right || to < u.bbox.left) return;
          var next = right;
          for (var j = i + 1; j < data.faults.length; j++) {
            var p = u.valToPos(data.faults[j].from, "x", true);
            if (p > from) { next = Math.min(next, p); break; }
          }
          var text = f.number + " " + f.label;
          while (text.length > 16 && from + c.measureText(text).width > next - 6 * r) text = text.slice(0, -2).replace(/…?$/, "") + "…";
          if (from + c.measureText(text).width > next - 6 * r) text = String(f.number);
          c.fillText(text, from + r, u.bbox.top - 3 * r);
          used = from + c.measureText(text).width + 5 * r;
        });
        c.restore();
      }
    } };
  }

  function decades(n) { return n != null && Math.abs(Math.log10(n) - Math.round(Math.log10(n))) < 1e-6; }
  function onlyDecades(u, splits) { return splits.map(function (n) { return decades(n) ? n : null; }); }
  function logAxis(a) { a.grid.filter = a.ticks.filter = onlyDecades; return a; }

  function axis(values, size) {
    return { stroke: color("soft"), font: "12px system-ui, 'Liberation Sans', sans-serif", size: size || 44, values: values,
      grid: { stroke: color("line"), width: 1 }, ticks: { stroke: color("line"), width: 1, size: 5 } };
  }
  function line(label, stroke, spell, more) {
    return Object.assign({ label: label, stroke: color(stroke), width: 1.6, points: { show: false },
      value: function (u, v) { return spell(v); } }, more || {});
  }

  function place(parent, chart) {
    var figure = document.createElement("figure"), caption = document.createElement("figcaption"), body = document.createElement("div");
    figure.className = "chart";
    caption.textContent = chart.title;
    if (chart.note) {
      var note = document.createElement("small");
      note.textContent = " " + chart.note;
      caption.append(note);
    }
    body.setAttribute("role", "img");
    body.setAttribute("aria-label", chart.title + " as a line chart; the table below has the figures");
    figure.append(caption, body);
    parent.append(figure);
    charts.push({ chart: chart, body: body, plot: null, width: 0 });
  }

  function draw(c, width) {
    if (c.plot) c.plot.destroy();
    c.width = width;
    var o = c.chart.options();
    o.width = width;
    o.height = width < 500 ? 170 : c.chart.height || 210;
    o.legend = { live: true };
    c.plot = new uPlot(o, c.chart.data, c.body);
  }
  function drawAll(width) {
    charts.forEach(function (c) {
      var w = Math.floor(width || c.body.clientWidth);
      if (w > 60) draw(c, w);
    });
  }

  function overTime(title, note, series, lines, more) {
    return { title: title, note: note, data: [data.seconds].concat(series), options: function () {
      var spell = more && more.spell || short, log = more && more.log;
      var y = axis(function (u, v) { return v.map(function (x) { return x == null ? "" : spell(x); }); }, 54);
      var o = { padding: [data.faults.length ? 20 : 8, 12, 0, 0], plugins: [faultsPlugin()],
        cursor: { sync: { key: "time" }, points: { size: 6 }, drag: { x: true, y: false } },
        scales: { x: { time: false }, y: log ? { distr: 3, log: 10 } : { range: function (u, lo, hi) { return [0, hi > 0 ? hi * 1.08 : 1]; } } },
        axes: [axis(function (u, v) { return v.map(clock); }, 30), y],
        series: [{ label: "at", value: function (u, v) { return clock(v); } }].concat(lines.map(function (l) { return line(l[0], l[1], spell, l[2]); })) };
      if (log) logAxis(y);
      o.axes[0].incrs = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
      o.axes[0].space = 64;
      return o;
    } };
  }

  function curve(c) {
    return { title: c.name + " percentiles", note: "log scale of 1/(1−q)", height: 250,
      data: [c.scale].concat(c.phases.map(function (p) { return p.millis; })), options: function () {
        var x = axis(function (u, v) { return v.map(function (n) {
          return decades(n) ? percent(n) : ""; }); }, 30);
        var y = axis(function (u, v) { return v.map(function (n) { return n == null ? "" : ms(n); }); }, 58);
        x.space = 10;
        logAxis(x);
        logAxis(y);
        return { padding: [8, 24, 0, 0], cursor: { points: { size: 6 }, drag: { x: false, y: false } },
          scales: { x: { time: false, distr: 3, log: 10, range: function (u, lo, hi) { return [1, hi]; } }, y: { distr: 3, log: 10 } },
          axes: [x, y], series: [{ label: "q", value: function (u, v) { return percent(v); } }].concat(c.phases.map(function (p) {
            var name = { before: "before", during: "during", after: "after" }[p.name] || "c1";
            return line(p.name, name, ms, { width: 2, dash: p.name === "after" ? [7, 4] : undefined });
          })) };
      } };
  }

  var time = document.getElementById("charts"), curves = document.getElementById("curves");
  var each = data.every > 1 ? "each point covers " + data.every + " s" : "";
  if (time && data.seconds && data.seconds.length > 1) {
    var flow = [data.acked, data.delivered], flowLines = [["acked/s", "c1"], ["delivered/s", "c2", { dash: [6, 3] }]];
    if (data.errors) { flow.push(data.errors); flowLines.push(["errors/s", "bad"]); }
    place(time, overTime("Records per second", each, flow, flowLines));
    place(time, overTime("Latency", "by second of acknowledgement or delivery, log scale", [data.p50, data.p99, data.max, data.e2e],
      [["produce p50", "c2"], ["produce p99", "c1"], ["produce max", "c5", { width: 1 }], ["end to end p99", "c4"]], { log: true, spell: ms }));
    place(time, overTime("Consumer lag", "records", [data.lag], [["lag", "c4", { fill: color("fault") }]]));
    place(time, overTime("Under-replicated partitions", "", [data.under], [["under-replicated", "c3", { paths: uPlot.paths.stepped({ align: 1 }) }]]));
  }
  if (curves) data.curves.forEach(function (c) { place(curves, curve(c)); });
  drawAll();

  var printing = false;
  if (window.ResizeObserver) {
    var observer = new ResizeObserver(function () {
      if (printing) return;
      charts.forEach(function (c) {
        var w = Math.floor(c.body.clientWidth);
        if (w > 60 && Math.abs(w - c.width) > 1) draw(c, w);
      });
    });
    charts.forEach(function (c) { observer.observe(c.body); });
  }
  if (window.matchMedia) matchMedia("(prefers-color-scheme: dark)").addEventListener("change", function () { drawAll(); });
  // Paper is white: draw in light colours, at a width that fits a page.
  window.addEventListener("beforeprint", function () {
    printing = true;
    root.dataset.theme = "light";
    charts.forEach(function (c) { draw(c, c.body.closest(".curves") ? 370 : 780); });
  });
  window.addEventListener("afterprint", function () {
    printing = false;
    delete root.dataset.theme;
    drawAll();
  });

  var copy = document.getElementById("copy");
  if (copy && navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", function () {
      navigator.clipboard.writeText(document.getElementById("replay").textContent).then(function () {
        copy.textContent = "Copied";
        setTimeout(function () { copy.textContent = "Copy"; }, 1500);
      });
    });
  }
})();

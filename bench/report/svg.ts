// Plots as SVG text: lines and bars with axes, a legend, and colours that the colour-blind tell apart
// (Okabe and Ito, "Color Universal Design", 2008).

const colours = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#333333"];
const width = 900;
const left = 80;
const right = 200;
const top = 50;
const bottom = 60;
const plotHeight = 320;

export interface Axis {
  readonly label: string;
  readonly isLog?: boolean | undefined;
}

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly isDashed?: boolean | undefined;
}

/** A band behind the lines: what went on at that time. */
export interface Band {
  readonly from: number;
  readonly to: number;
  readonly colour: string;
}

export interface LinePlot {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly series: readonly Series[];
  readonly bands?: readonly Band[] | undefined;
  /** What the bands are. */
  readonly bandNames?: readonly (readonly [name: string, colour: string])[] | undefined;
}

export interface BarPlot {
  readonly title: string;
  readonly y: Axis;
  readonly groups: readonly string[];
  /** One value a group; undefined where there is none. Stacked bars: one on the other. */
  readonly bars: readonly {
    readonly name: string;
    readonly values: readonly (number | undefined)[];
  }[];
  readonly isStacked?: boolean | undefined;
}

/** From values to pixels, and where the ticks are. */
class Scale {
  readonly ticks: readonly number[];
  readonly #low: number;
  readonly #high: number;
  readonly #isLog: boolean;
  readonly #from: number;
  readonly #to: number;

  constructor(values: readonly number[], { isLog = false }: Axis, from: number, to: number) {
    this.#isLog = isLog;
    this.#from = from;
    this.#to = to;
    const finite = values.filter((value) => Number.isFinite(value) && (!isLog || value > 0));
    const least = Math.min(...finite);
    const most = Math.max(...finite);
    if (finite.length === 0) {
      [this.#low, this.#high, this.ticks] = [0, 1, []];
    } else if (isLog) {
      const [low, high] = [Math.floor(Math.log10(least)), Math.ceil(Math.log10(most))];
      this.#low = low;
      this.#high = Math.max(high, low + 1);
      const count = this.#high - low + 1;
      this.ticks = Array.from({ length: count }, (_, i) => 10 ** (low + i));
    } else {
      const step = stepOf(most - Math.min(0, least));
      this.#low = Math.min(0, Math.floor(least / step) * step);
      this.#high = Math.ceil(most / step) * step || 1;
      const count = Math.round((this.#high - this.#low) / step) + 1;
      this.ticks = Array.from({ length: count }, (_, i) => this.#low + i * step);
    }
  }

  at(value: number): number {
    const place = this.#isLog ? Math.log10(Math.max(value, 10 ** this.#low)) : value;
    const share = (place - this.#low) / (this.#high - this.#low);
    return this.#from + share * (this.#to - this.#from);
  }
}

/** 1, 2 or 5 times a power of ten, so that there are about six ticks. */
function stepOf(range: number): number {
  const rough = range / 6 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((one) => one * power >= rough) ?? 10);
}

export function linePlot(plot: LinePlot): string {
  const xs = plot.series.flatMap(({ points }) => points.map(([x]) => x));
  const ys = plot.series.flatMap(({ points }) => points.map(([, y]) => y));
  const x = new Scale(xs, plot.x, left, width - right);
  const y = new Scale(ys, plot.y, top + plotHeight, top);
  const body: string[] = [];
  for (const { from, to, colour } of plot.bands ?? []) {
    const at = x.at(from);
    const wide = Math.max(1, x.at(to) - at);
    body.push(
      `<rect x="${px(at)}" y="${top}" width="${px(wide)}" height="${plotHeight}" fill="${colour}" opacity="0.25"/>`,
    );
  }
  body.push(yAxis(y, plot.y), xAxis(x, plot.x));
  for (const [i, { points, isDashed }] of plot.series.entries()) {
    const colour = colours[i % colours.length]!;
    const path = points.map(([px1, py1]) => `${px(x.at(px1))},${px(y.at(py1))}`).join(" ");
    const dash = isDashed === true ? ' stroke-dasharray="6 4"' : "";
    body.push(
      `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"${dash}/>`,
    );
    if (points.length > 40) continue;
    for (const [px1, py1] of points) {
      body.push(`<circle cx="${px(x.at(px1))}" cy="${px(y.at(py1))}" r="3" fill="${colour}"/>`);
    }
  }
  const lines = plot.series.map(({ name }, i) => [name, colours[i % colours.length]!] as const);
  body.push(legend([...lines, ...(plot.bandNames ?? [])]));
  return svg(plot.title, body);
}

export function barPlot(plot: BarPlot): string {
  const isStacked = plot.isStacked === true;
  const totals = plot.groups.map((_, group) =>
    plot.bars.reduce((sum, { values }) => sum + (values[group] ?? 0), 0),
  );
  const values = isStacked
    ? totals
    : plot.bars.flatMap((bar) => bar.values.map((one) => one ?? NaN));
  const y = new Scale(values, plot.y, top + plotHeight, top);
  const slot = (width - left - right) / plot.groups.length;
  const wide = (slot * 0.8) / (isStacked ? 1 : plot.bars.length);
  const body = [yAxis(y, plot.y)];
  for (const [group, name] of plot.groups.entries()) {
    const start = left + group * slot + slot * 0.1;
    let below = 0;
    for (const [i, bar] of plot.bars.entries()) {
      const value = bar.values[group];
      if (value === undefined || !Number.isFinite(value)) continue;
      const high = y.at(below + value);
      const low = isStacked ? y.at(below) : top + plotHeight;
      const at = isStacked ? start : start + i * wide;
      const colour = colours[i % colours.length]!;
      body.push(
        `<rect x="${px(at)}" y="${px(high)}" width="${px(Math.max(1, wide - 1))}" height="${px(Math.max(0, low - high))}" fill="${colour}"><title>${escapeXml(`${name}, ${bar.name}: ${short(value)}`)}</title></rect>`,
      );
      if (isStacked) below += value;
    }
    body.push(
      `<text transform="translate(${px(start + slot * 0.4)},${top + plotHeight + 14}) rotate(25)" font-size="11">${escapeXml(name)}</text>`,
    );
  }
  body.push(legend(plot.bars.map(({ name }, i) => [name, colours[i % colours.length]!] as const)));
  return svg(plot.title, body);
}

function yAxis(scale: Scale, axis: Axis): string {
  const ticks = scale.ticks.map((tick) => {
    const at = px(scale.at(tick));
    return `<line x1="${left}" x2="${width - right}" y1="${at}" y2="${at}" stroke="#ddd"/><text x="${left - 6}" y="${at}" dy="4" text-anchor="end">${short(tick)}</text>`;
  });
  const middle = top + plotHeight / 2;
  return `${ticks.join("")}<text transform="translate(20,${middle}) rotate(-90)" text-anchor="middle">${escapeXml(axis.label)}</text>`;
}

function xAxis(scale: Scale, axis: Axis): string {
  const base = top + plotHeight;
  const ticks = scale.ticks.map((tick) => {
    const at = px(scale.at(tick));
    return `<line x1="${at}" x2="${at}" y1="${base}" y2="${base + 5}" stroke="#333"/><text x="${at}" y="${base + 18}" text-anchor="middle">${short(tick)}</text>`;
  });
  return `${ticks.join("")}<text x="${(left + width - right) / 2}" y="${base + 40}" text-anchor="middle">${escapeXml(axis.label)}</text>`;
}

function legend(entries: readonly (readonly [name: string, colour: string])[]): string {
  const at = width - right + 16;
  return entries
    .map(
      ([name, colour], i) =>
        `<rect x="${at}" y="${top + i * 20}" width="12" height="12" fill="${colour}"/><text x="${at + 18}" y="${top + 10 + i * 20}">${escapeXml(name)}</text>`,
    )
    .join("");
}

function svg(title: string, body: readonly string[]): string {
  const height = top + plotHeight + bottom + 40;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" role="img">
<title>${escapeXml(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
<text x="${left}" y="28" font-size="16" font-weight="bold">${escapeXml(title)}</text>
${body.join("\n")}
</svg>
`;
}

function px(value: number): string {
  return value.toFixed(1);
}

/** 1,500 as 1.5k. */
export function short(value: number): string {
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e3],
  ] as const) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))}${unit}`;
  }
  return String(Number(value.toPrecision(3)));
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

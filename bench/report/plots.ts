// Which plots there are, and what of the results each shows. A plot without figures is left out.
import { type BenchResult, type Line, linesOf, numberOf, textOf } from "./results.ts";
import { type Band, type Series, barPlot, linePlot } from "./svg.ts";

export interface Plot {
  readonly file: string;
  readonly title: string;
  /** What a reader should see. */
  readonly caption: string;
  readonly svg: string;
}

export function plotsOf(results: readonly BenchResult[]): Plot[] {
  const plots = [
    operationsPlot(linesOf(results, "rivals")),
    operatorsPlot(linesOf(results, "operators")),
    durationPlot(linesOf(results, "matrix")),
    bytesPlot(linesOf(results, "matrix")),
    latencyPlot(linesOf(results, "latency"), "changelog"),
    latencyPlot(linesOf(results, "latency"), "incremental"),
    cliffPlot(linesOf(results, "ycsb")),
    recoveryPlot(linesOf(results, "recovery")),
    rescalePlot(linesOf(results, "rescale")),
  ];
  return plots.filter((plot): plot is Plot => plot !== undefined);
}

/** The values of a field, each once, in the order they are met. */
function distinct(lines: readonly Line[], field: string): string[] {
  return [...new Set(lines.map((line) => textOf(line, field)))];
}

function operationsPlot(lines: readonly Line[]): Plot | undefined {
  const e1 = lines.filter(({ id, ours }) => id === "E1" && typeof ours === "number");
  const e2 = lines.filter(({ id, ours }) => id === "E2" && typeof ours === "number");
  if (e1.length === 0) return undefined;
  const groups = e1.map((line) => textOf(line, "name"));
  const of = (from: readonly Line[], field: string): (number | undefined)[] =>
    groups.map((name) => {
      const found = from.find((line) => line["name"] === name);
      return found === undefined ? undefined : numberOf(found, field);
    });
  const title = "State operations per millisecond, 500,000 keys in memory";
  return {
    file: "operations.svg",
    title,
    caption:
      "Each group is one operation of Flink's own state benchmarks; higher is better, the scale is logarithmic.",
    svg: barPlot({
      title,
      y: { label: "operations per ms (log)", isLog: true },
      groups,
      bars: [
        { name: "Varve", values: of(e1, "ours") },
        { name: "Flink RocksDB, the better", values: of(e1, "rival") },
        { name: "Flink heap, the better", values: of(e2, "rival") },
      ],
    }),
  };
}

function operatorsPlot(lines: readonly Line[]): Plot | undefined {
  const zipf = lines.filter((line) => line["popularity"] === "zipf 0.99" && "recordsPerMs" in line);
  if (zipf.length === 0) return undefined;
  const groups = distinct(zipf, "operator");
  const title = "Stream operators: records per millisecond, Zipf 0.99";
  return {
    file: "operators.svg",
    title,
    caption: "Window, session and join operators on each store; higher is better, logarithmic.",
    svg: barPlot({
      title,
      y: { label: "records per ms (log)", isLog: true },
      groups,
      bars: distinct(zipf, "store").map((store) => ({
        name: store,
        values: groups.map((operator) => {
          const found = zipf.find((one) => one["store"] === store && one["operator"] === operator);
          return found === undefined ? undefined : numberOf(found, "recordsPerMs");
        }),
      })),
    }),
  };
}

/** Of the matrix: 10,000 changes a second, Zipf, every 100 ms; whatever there is with --quick. */
function byState(lines: readonly Line[], field: string): Series[] {
  const cells = lines.filter(
    (line) =>
      line["keys"] === "zipf 0.99" &&
      line["changesPerSecond"] === 10_000 &&
      line["intervalMs"] === 100,
  );
  return distinct(cells, "policy").map((policy) => ({
    name: policy,
    points: cells
      .filter((line) => line["policy"] === policy)
      .map((line) => [numberOf(line, "stateBytes") / 1e6, numberOf(line, field)] as const),
  }));
}

function durationPlot(lines: readonly Line[]): Plot | undefined {
  const series = byState(lines, "durationMsP50");
  if (series.length === 0) return undefined;
  const title = "Checkpoint duration over the size of the state";
  return {
    file: "checkpoint-duration.svg",
    title,
    caption:
      "10,000 changes a second, a checkpoint every 100 ms, median; a flat line does not grow with the state.",
    svg: linePlot({
      title,
      x: { label: "state, MB (log)", isLog: true },
      y: { label: "duration, ms (log)", isLog: true },
      series,
    }),
  };
}

function bytesPlot(lines: readonly Line[]): Plot | undefined {
  const series = byState(lines, "newBytes");
  if (series.length === 0) return undefined;
  const title = "New bytes of a checkpoint over the size of the state";
  return {
    file: "checkpoint-bytes.svg",
    title,
    caption: "The same checkpoints: what each adds to the storage.",
    svg: linePlot({
      title,
      x: { label: "state, MB (log)", isLog: true },
      y: { label: "bytes (log)", isLog: true },
      series,
    }),
  };
}

const bandColours: Readonly<Record<string, string>> = {
  checkpoint: "#e69f00",
  materialization: "#56b4e9",
};

function latencyPlot(lines: readonly Line[], policy: string): Plot | undefined {
  const ofPolicy = lines.filter(
    (line) => line["policy"] === policy && Array.isArray(line["series"]),
  );
  if (ofPolicy.length === 0) return undefined;
  const bands: Band[] = [];
  const series = ofPolicy.map((line, i): Series => {
    const points = line["series"] as [atMs: number, ms: number, during: string][];
    for (const [atMs, , during] of i === 0 ? points : []) {
      const colour = bandColours[during];
      if (colour !== undefined) bands.push({ from: atMs / 1000, to: (atMs + 100) / 1000, colour });
    }
    return {
      name: `p99.9 at ${numberOf(line, "load") * 100} % load`,
      points: points.map(([atMs, ms]) => [atMs / 1000, ms] as const),
    };
  });
  const title = `Latency of records over time, policy "${policy}"`;
  return {
    file: `latency-${policy}.svg`,
    title,
    caption:
      "Open loop: a record's latency counts from when it was due. Bands (of the first load): a checkpoint, or a materialization, was under way.",
    svg: linePlot({
      title,
      x: { label: "seconds" },
      y: { label: "latency p99.9 of 100 ms, ms (log)", isLog: true },
      series,
      bands,
      bandNames: Object.entries(bandColours),
    }),
  };
}

function cliffPlot(lines: readonly Line[]): Plot | undefined {
  const found = lines.filter(
    (line) => line["workload"] === "F" && line["valueBytes"] === 100 && "callsPerMs" in line,
  );
  if (found.length === 0) return undefined;
  const series = distinct(found, "keys").flatMap((keys) =>
    ["lsm", "classic-level"].map((store): Series => ({
      name: `${store}, ${keys}`,
      isDashed: store !== "lsm",
      points: found
        .filter((line) => line["keys"] === keys && line["store"] === store)
        .map((line) => [numberOf(line, "stateToMemory"), numberOf(line, "callsPerMs")] as const),
    })),
  );
  const title = "The cliff: read-modify-write as the state outgrows the memory (YCSB F)";
  return {
    file: "cliff.svg",
    title,
    caption:
      "Calls per millisecond over state/memory; values of 100 bytes. Where it falls, reads go to files.",
    svg: linePlot({
      title,
      x: { label: "state / memory (log)", isLog: true },
      y: { label: "calls per ms (log)", isLog: true },
      series,
    }),
  };
}

function recoveryPlot(lines: readonly Line[]): Plot | undefined {
  const found = lines.filter((line) => "msToFirstRecord" in line);
  if (found.length === 0) return undefined;
  const title = "Recovery after kill -9, by phase";
  const of = (value: (line: Line) => number): number[] => found.map(value);
  return {
    file: "recovery.svg",
    title,
    caption:
      'From the start of the process: until the backend is asked for, until it is open (with "before" every byte is verified in it), until every byte is verified behind it.',
    svg: barPlot({
      title,
      y: { label: "ms" },
      isStacked: true,
      groups: found.map(
        (line) =>
          `${numberOf(line, "stateBytes") / 1e6} MB ${textOf(line, "policy") === "changelog" ? `log×${textOf(line, "rounds")}` : "incr."} ${textOf(line, "verification")}`,
      ),
      bars: [
        { name: "process start", values: of((line) => numberOf(line, "processMs")) },
        { name: "open", values: of((line) => numberOf(line, "openMs")) },
        { name: "first read", values: of((line) => numberOf(line, "firstReadMs")) },
        {
          name: "verified behind",
          values: of((line) =>
            Math.max(
              0,
              numberOf(line, "verifiedMs") -
                numberOf(line, "openMs") -
                numberOf(line, "firstReadMs"),
            ),
          ),
        },
      ],
    }),
  };
}

function rescalePlot(lines: readonly Line[]): Plot | undefined {
  const found = lines.filter((line) => line["id"] === "B1" && typeof line["byRowsMs"] === "number");
  if (found.length === 0) return undefined;
  const title = "Rescaling, beside copying the rows";
  return {
    file: "rescale.svg",
    title,
    caption:
      "Time until the first read of all new tasks, and of hashing the files they were made of.",
    svg: barPlot({
      title,
      y: { label: "ms (log)", isLog: true },
      groups: found.map((line) => textOf(line, "name").slice(0, 40)),
      bars: [
        { name: "Varve", values: found.map((line) => numberOf(line, "wallMsWithoutVerification")) },
        { name: "verifying", values: found.map((line) => numberOf(line, "verificationMs")) },
        { name: "copying rows", values: found.map((line) => numberOf(line, "byRowsMs")) },
      ],
    }),
  };
}

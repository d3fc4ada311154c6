// The summary for people.
import type { WorstRoute } from "./job-results.ts";
import type { Summary } from "./summary.ts";

const MIB_BYTES = 1_048_576;
const NAME_COLUMNS = 14;

export function summaryTable(summary: Summary, worst: readonly WorstRoute[]): string {
  const lines = rows(summary).map(([name, text]) => `  ${name.padEnd(NAME_COLUMNS)}${text}`);
  return ["", ...lines, "", "Worst routes by mean delay:", ...worstLines(worst), ""].join("\n");
}

function rows(summary: Summary): (readonly [name: string, text: string])[] {
  const { recoveryMs, resumeMs, replayedRecords, lost, duplicated, wrong } = summary;
  return [
    ["records", `${summary.records} first deliveries, ${summary.redelivered} redelivered`],
    ["accepted", `${summary.accepted}; the others equal an earlier one and were dropped`],
    ["rate", `${summary.recordsPerSecond} records/s, kills and recoveries included`],
    ["state", `${summary.keys} keys, ${mib(summary.stateBytes)} of live rows`],
    ["budget", `${mib(summary.memoryBudgetBytes)}, ${ratio(summary)} of the state`],
    [
      "memory",
      `at most ${mib(summary.peakAnonBytes)} anonymous, ${mib(summary.peakRssBytes)} with mapped files`,
    ],
    [
      "reads",
      `${percent(summary.hitRatio)} from the write buffer; ${summary.coldReads} rows from LevelDB`,
    ],
    [
      "checkpoints",
      `${summary.checkpoints}, durable in p50 ${summary.checkpointMsP50} ms, p99 ${summary.checkpointMsP99} ms`,
    ],
    [
      "pauses",
      `p50 ${summary.pauseMsP50} ms, p99 ${summary.pauseMsP99} ms (longest main-thread block of each)`,
    ],
    ["sink sync", `p50 ${summary.sinkSyncMsP50} ms, p99 ${summary.sinkSyncMsP99} ms`],
    [
      "uploaded",
      `${mib(summary.uploadedBytes)}, ${(summary.uploadedBytes / summary.stateBytes).toFixed(1)} times the state`,
    ],
    ...logRows(summary),
    ["kills", `${summary.kills}, ${summary.killsDuringCheckpoint} during a checkpoint`],
    ["replayed", `${replayedRecords.join(", ") || "no"} records`],
    [
      "recovery",
      `${list(recoveryMs)} to the first new record, ${list(resumeMs)} to the first at all`,
    ],
    ["restore", `${list(summary.restoreMs)} to open the backend`],
    [
      "time",
      `job ${seconds(summary.jobMs)}, dump ${seconds(summary.dumpMs)}, verification ${seconds(summary.verificationMs)}`,
    ],
    ["verification", `lost ${lost}, duplicated ${duplicated}, wrong ${wrong}`],
    ["result", summary.ok ? "exactly right" : "NOT RIGHT"],
  ];
}

/** Nothing where no log is kept. */
function logRows(summary: Summary): (readonly [name: string, text: string])[] {
  const { policy, logBytes, changeBytes, logShare, materializations } = summary;
  if (policy !== "changelog") return [];
  const replayed = summary.replayedLogBytes.map(mib).join(", ");
  return [
    [
      "log",
      `${mib(logBytes)}, ${percent(logShare)} of the ${mib(changeBytes)} of all changes; ` +
        `${materializations} bases made in the background`,
    ],
    ["log replayed", replayed || "none"],
  ];
}

function worstLines(worst: readonly WorstRoute[]): string[] {
  return worst.map(
    ({ route, flights, meanDelay, deviation }) =>
      `  ${route.padEnd(NAME_COLUMNS)}${meanDelay.toFixed(1).padStart(6)} min, ` +
      `deviation ${deviation.toFixed(1).padStart(6)}, ${String(flights).padStart(5)} flights`,
  );
}

function mib(bytes: number): string {
  return `${(bytes / MIB_BYTES).toFixed(1)} MiB`;
}

function ratio({ memoryBudgetBytes, stateBytes }: Summary): string {
  return percent(memoryBudgetBytes / stateBytes);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function list(milliseconds: readonly number[]): string {
  return milliseconds.map((ms) => `${ms.toFixed(0)} ms`).join(", ") || "none";
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

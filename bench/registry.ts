// npm run bench:registry -- --json
import { measureRegistry } from "./registry/registry-bench.ts";
import { Report, progress, readArguments } from "./support/command.ts";
import { percentile, spreadOf } from "./support/statistics.ts";

const help = `Usage: npm run bench:registry -- [--json] [--quick] [--help]

The registry of shared files of 100 tasks: a checkpoint with 10,000 changed files, registered,
completed and the one before subsumed, among 1,000,000; and memory per file (B3). The floor is a
bare Map of ids.

  --json   one JSON object a line
  --quick  100,000 files
`;

const { json, quick } = readArguments(help);
const report = new Report(json);
const fileCount = quick ? 100_000 : 1_000_000;
const load = { fileCount, taskCount: 100, changedCount: 10_000, checkpoints: 60 };
const askedMs = 50;
const askedBytes = 300;

progress(`registry: ${fileCount} files`);
const { checkpointMs, floorMs, bytesPerFile, floorBytesPerFile, restoreMs } = measureRegistry(load);
const spread = spreadOf(checkpointMs);
const floor = spreadOf(floorMs).median;
report.measure({
  id: "B3",
  name: "register and subsume a checkpoint, median",
  value: spread.median,
  asked: `<= ${askedMs}`,
  ok: spread.median <= askedMs,
  unit: "ms",
  floor,
  ratio: spread.median / floor,
  spread,
  details: { p90: percentile(checkpointMs, 90), restoreMs, ...load },
});
report.measure({
  id: "B3",
  name: "memory per file",
  value: bytesPerFile,
  asked: `<= ${askedBytes}`,
  ok: bytesPerFile <= askedBytes,
  unit: "bytes",
  floor: floorBytesPerFile,
  ratio: bytesPerFile / floorBytesPerFile,
});

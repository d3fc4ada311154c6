// npm run reliability -- [PART] --json
import { readArguments } from "./arguments.ts";
import { writeFigures } from "./figures.ts";
import { reportOf } from "./ledger.ts";
import { parts } from "./parts.ts";
import { runPart } from "./run-part.ts";

const options = readArguments(parts);

function print(object: Readonly<Record<string, unknown>>): void {
  const text = options.json
    ? JSON.stringify(object)
    : Object.entries(object)
        .map(
          ([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`,
        )
        .join("  ");
  process.stdout.write(`${text}\n`);
}

let running = "";

// Nothing of a part may end the process, least of all a broken invariant: it is a failure like others.
process.on("uncaughtException", (error) => {
  const text = (error.stack ?? error.message).replaceAll(/\s+/g, " ").slice(0, 600);
  process.stderr.write(`FAILED ${running}: uncaught: ${text}\n`);
  print({ part: running, trials: 0, failures: 1, kinds: { uncaught: 1 }, ok: false });
  process.exit(1);
});

if (options.part === "report") {
  const reports = reportOf(parts);
  for (const line of reports) print({ ...line });
  if (options.write) await writeFigures(reports);
} else {
  let isBroken = false;
  for (const part of parts) {
    if (options.part !== undefined && options.part !== part.name) continue;
    running = part.name;
    const report = await runPart(part, options);
    print(report);
    isBroken ||= report.ok === false;
  }
  process.exit(isBroken ? 1 : 0); // A trial that is stuck would hold the process.
}

import { InvalidArgumentError } from "../../errors.ts";
import { collectGarbage } from "../../inspect/index.ts";
import { integer } from "../arguments.ts";
import { type Command, Exit } from "../command.ts";
import { bytesText, share } from "../text.ts";

const phases = {
  wait: "waiting for checkpoints",
  grace: "grace period",
  remove: "removed",
} as const;

export const gc: Command = {
  name: "gc",
  parameters: ["DIRECTORY"],
  summary: "Removes files that no checkpoint references.",
  help: `
One of:
  --dry-run      lists what nothing references now, some of which may be of a checkpoint under way
  --take-over    for a job that does not run. One that does is fenced, and has to be started again
  --follow       for a job that runs: waits until none of its checkpoints that were under way can be

  --checkpoints N  --follow: how many have to complete (default 17: above what one backend may have
                   under way; with a coordinator, above its maxConcurrentCheckpoints)
  --grace SECONDS  between that and removing (default 60)

A job removes by itself what earlier runs left, after its first checkpoint: this is for what it could not
delete, and for jobs that do not come back. No clock decides. Exit code 0 also if there is nothing.
`,
  options: {
    "dry-run": { type: "boolean" },
    "take-over": { type: "boolean" },
    follow: { type: "boolean" },
    checkpoints: { type: "string" },
    grace: { type: "string" },
  },
  async run({ positionals, values, terminal, interruption }) {
    const [directory] = positionals as [string];
    const modes = (["dry-run", "take-over", "follow"] as const).filter(
      (one) => values[one] === true,
    );
    const [mode] = modes;
    if (mode === undefined || modes.length > 1) {
      throw new InvalidArgumentError("gc takes one of --dry-run, --take-over and --follow");
    }
    const grace = integer(values, "grace");
    const report = await collectGarbage(directory, {
      mode,
      checkpoints: integer(values, "checkpoints"),
      graceMs: grace === undefined ? undefined : grace * 1000,
      signal: interruption(),
      onProgress(phase, done, total) {
        terminal.progress(`${phases[phase]}: ${share(done, total)}`);
      },
    });
    if (!terminal.isJson) for (const name of report.names) await terminal.line(name);
    const what = mode === "dry-run" ? "referenced by no checkpoint" : "removed";
    const count = report.names.length;
    await terminal.result(
      report,
      `${count} ${count === 1 ? "object" : "objects"}, ${bytesText(report.bytes)}, ${what}`,
    );
    return Exit.fine;
  },
};

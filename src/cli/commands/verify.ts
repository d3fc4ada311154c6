import { nodeEnvironment } from "../../environment/node-environment.ts";
import { CheckpointNotFoundError, StateBackendError } from "../../errors.ts";
import {
  type Damage,
  type VerifyReport,
  listCheckpoints,
  openCheckpoint,
  verifyCheckpoint,
} from "../../inspect/index.ts";
import { openOptions, optionsForOpening } from "../arguments.ts";
import { type Command, type CommandCall, Exit } from "../command.ts";
import { bytesText, groupsText, share } from "../text.ts";

export const verify: Command = {
  name: "verify",
  parameters: ["DIRECTORY"],
  summary: "Reads every byte of a checkpoint and compares it with what is recorded.",
  help: `
  --id ID        which checkpoint (default: the newest)
  --all          every retained checkpoint; files that they share are read once
  --rows         also reads and decodes every row
  --trust-v8     with --rows: decodes v8 values, which a forged checkpoint may abuse

Names each damaged file and the key groups whose rows may be lost; all others are intact.
`,
  options: {
    ...openOptions,
    all: { type: "boolean" },
    rows: { type: "boolean" },
  },
  async run(call) {
    const [directory] = call.positionals as [string];
    const known = new Map<string, Damage | undefined>();
    if (call.values["all"] !== true) {
      const report = await verifyOne(directory, undefined, known, call);
      return report.isIntact ? Exit.fine : Exit.found;
    }
    const { checkpoints, damaged } = await listCheckpoints(directory);
    if (checkpoints.length === 0 && damaged.length === 0) {
      throw new CheckpointNotFoundError(`there is no checkpoint in ${directory}`);
    }
    let isIntact = damaged.length === 0;
    for (const { location, error } of damaged) {
      const code = error instanceof StateBackendError ? error.code : "";
      const text = `${location}: ${call.terminal.colour("red", "DAMAGED")} ${code} ${error.message}`;
      await call.terminal.result({ location, ok: false, code, message: error.message }, text);
    }
    for (const { checkpointId } of checkpoints) {
      try {
        const report = await verifyOne(directory, checkpointId, known, call);
        isIntact &&= report.isIntact;
      } catch (error) {
        // A job goes on meanwhile: what it no longer retains is nobody's loss.
        if (!(error instanceof CheckpointNotFoundError)) throw error;
        call.terminal.note(`checkpoint ${checkpointId} was deleted meanwhile`);
      }
    }
    return isIntact ? Exit.fine : Exit.found;
  },
};

async function verifyOne(
  directory: string,
  checkpointId: number | undefined,
  known: Map<string, Damage | undefined>,
  { values, terminal }: CommandCall,
): Promise<VerifyReport> {
  const options = optionsForOpening(values);
  const view = await openCheckpoint(
    directory,
    checkpointId === undefined ? options : { ...options, checkpointId },
  );
  const { clock } = nodeEnvironment();
  const startMs = clock.monotonicMs();
  try {
    const report = await verifyCheckpoint(view, {
      known,
      rows: values["rows"] === true,
      onProgress({ verifiedBytes, totalBytes }) {
        const perSecond = verifiedBytes / ((clock.monotonicMs() - startMs) / 1000 || 1);
        const speed = `${bytesText(Math.round(perSecond))} a second`;
        terminal.progress(
          `checkpoint ${view.checkpointId}: ${share(verifiedBytes, totalBytes)}, ${speed}`,
        );
      },
    });
    await printReport(report, { terminal });
    return report;
  } finally {
    await view.close();
  }
}

async function printReport(
  { isIntact, ...report }: VerifyReport,
  { terminal }: Pick<CommandCall, "terminal">,
): Promise<void> {
  const { checkpointId, fileCount, totalBytes, damaged } = report;
  const what = `checkpoint ${checkpointId}: ${fileCount} files, ${bytesText(totalBytes)}`;
  const verdict = isIntact
    ? terminal.colour("green", "all as recorded")
    : terminal.colour("red", `${damaged.length} DAMAGED`);
  const lines = damaged.map(({ file, path, keyGroups, code, message }) => {
    return `  ${path ?? file}\n    key groups ${groupsText(keyGroups)}: ${code} ${message}`;
  });
  await terminal.result({ ...report, ok: isIntact }, [`${what}, ${verdict}`, ...lines].join("\n"));
}

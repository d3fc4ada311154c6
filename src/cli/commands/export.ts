import type { WritableFile } from "../../api/environment.ts";
import { nodeEnvironment } from "../../environment/node-environment.ts";
import { typedFileError } from "../../environment/typed-error.ts";
import { InvalidArgumentError } from "../../errors.ts";
import { exportCheckpoint, openCheckpoint } from "../../inspect/index.ts";
import { keyGroups, openOptions, optionsForOpening, text, texts } from "../arguments.ts";
import { type Command, type CommandCall, Exit } from "../command.ts";

const WRITE_LENGTH = 262_144;

export const exportCommand: Command = {
  name: "export",
  parameters: ["DIRECTORY"],
  summary: "Writes a checkpoint's entries as JSON lines or CSV.",
  help: `
  --id ID            which checkpoint (default: the newest)
  --state NAME       only this state; may be repeated (default: all)
  --format FORMAT    jsonl (default), exact; csv, for one state, a line a list element or map entry
  --output FILE      a file that does not exist (default: standard output)
  --prefix TEXT      only string keys that begin so
  --key-groups A-B   only these key groups
  --trust-v8         decodes v8 values, which a forged checkpoint may abuse
`,
  options: {
    ...openOptions,
    state: { type: "string", multiple: true },
    format: { type: "string" },
    output: { type: "string" },
    prefix: { type: "string" },
    "key-groups": { type: "string" },
  },
  async run(call) {
    const [directory] = call.positionals as [string];
    const { values } = call;
    const format = text(values, "format");
    if (format !== undefined && format !== "jsonl" && format !== "csv") {
      throw new InvalidArgumentError(`--format is jsonl or csv, got ${format}`);
    }
    const view = await openCheckpoint(directory, optionsForOpening(values));
    try {
      const lines = exportCheckpoint(view, {
        format,
        states: texts(values, "state"),
        prefix: text(values, "prefix"),
        keyGroups: keyGroups(values),
      });
      const output = text(values, "output");
      if (output === undefined) await print(lines, call);
      else await write(lines, output, call);
    } finally {
      await view.close();
    }
    return Exit.fine;
  },
};

async function print(lines: AsyncIterable<string>, { terminal }: CommandCall): Promise<void> {
  for await (const line of lines) {
    if (terminal.isReaderGone) return;
    await terminal.text(line);
  }
}

/** Durable once it resolves; what was begun and not finished is removed. */
async function write(
  lines: AsyncIterable<string>,
  path: string,
  { terminal, interruption }: CommandCall,
): Promise<void> {
  const { fileSystem } = nodeEnvironment();
  const signal = interruption();
  let file: WritableFile;
  try {
    file = await fileSystem.create(path);
  } catch (cause) {
    throw typedFileError(`create ${path}`, cause);
  }
  let isWhole = false;
  try {
    let pending = "";
    let count = 0;
    for await (const line of lines) {
      signal.throwIfAborted();
      pending += line;
      if (++count % 1000 === 0) terminal.progress(`${count} lines`);
      if (pending.length < WRITE_LENGTH) continue;
      await file.write(Buffer.from(pending));
      pending = "";
    }
    await file.write(Buffer.from(pending));
    await file.sync();
    isWhole = true;
    terminal.note(`${count} lines written to ${path}`);
  } catch (cause) {
    throw cause === signal.reason ? cause : typedFileError(`write ${path}`, cause);
  } finally {
    await file.close();
    if (!isWhole) await fileSystem.unlink(path);
  }
}

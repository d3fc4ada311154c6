import { copyCheckpoint, openCheckpoint } from "../../inspect/index.ts";
import { optionsForOpening } from "../arguments.ts";
import { type Command, Exit } from "../command.ts";
import { bytesText, share } from "../text.ts";

export const copy: Command = {
  name: "copy",
  parameters: ["DIRECTORY", "TARGET"],
  summary: "Makes a directory of its own from one checkpoint, which no job deletes from.",
  help: `
  --id ID      which checkpoint (default: the newest)
  --no-links   copies every byte, so that damage to the original is not shared

TARGET must not exist. Files are linked where the file system can, else copied; every byte is
verified and durable before TARGET appears. Restore it by its path.
`,
  options: { id: { type: "string" }, "no-links": { type: "boolean" } },
  async run({ positionals, values, terminal, interruption }) {
    const [directory, target] = positionals as [string, string];
    const view = await openCheckpoint(directory, optionsForOpening(values));
    try {
      const copied = await copyCheckpoint(view, target, {
        transfer: values["no-links"] === true ? "copy" : "link",
        signal: interruption(),
        onProgress({ copiedBytes, totalBytes }) {
          terminal.progress(`${share(copiedBytes, totalBytes)} of ${bytesText(totalBytes)}`);
        },
      });
      const { checkpointId, fileCount, totalBytes } = copied;
      const size = `${fileCount} files, ${bytesText(totalBytes)}`;
      await terminal.result(copied, `checkpoint ${checkpointId} is in ${target}: ${size}`);
    } finally {
      await view.close();
    }
    return Exit.fine;
  },
};

// The process that reads an unknown input file once: one message in, one out.
import { InputError } from "./flight-file.ts";
import { checkColumns } from "./input-check.ts";
import type { InputAnswer } from "./input-check.ts";

process.once("message", ({ path, limit }: { path: string; limit: number | undefined }) => {
  checkColumns(path, limit).then(
    () => send({ kind: "intact" }),
    (error: unknown) => {
      const message = error instanceof InputError ? error.message : `${path}: ${String(error)}`;
      send({ kind: "refused", message });
    },
  );
});

function send(answer: InputAnswer): void {
  process.send?.(answer, () => process.disconnect());
}

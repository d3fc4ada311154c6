// Child process: rows on Varve, most of them not in memory.
import { join } from "node:path";
import { fileSystemStorage, openKeyedStateBackend } from "../../src/index.ts";
import { ColdRows } from "./cold-rows.ts";
import type { RowsAssignment } from "./cold.ts";
import { serveLines } from "./line-server.ts";

let rows: ColdRows | undefined;

function opened(): ColdRows {
  if (rows === undefined) throw new Error("nothing was assigned yet");
  return rows;
}

serveLines(
  {
    async open(assignment: RowsAssignment) {
      const backend = await openKeyedStateBackend({
        workingDirectory: join(assignment.directory, "working"),
        checkpointStorage: fileSystemStorage(join(assignment.directory, "checkpoints")),
        restore: "latest-or-new",
        memoryBudgetBytes: assignment.managedBytes,
      });
      rows = new ColdRows(backend, assignment);
    },
    load: () => opened().load(),
    draws: ({ path }: { path: string }) => opened().draw(path),
    readModifyWrite: ({ calls }: { calls: number }) => opened().readModifyWrite(calls),
    checksum: ({ every }: { every: number }) => opened().checksum(every),
  },
  () => rows?.close(),
);

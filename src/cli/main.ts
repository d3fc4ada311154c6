#!/usr/bin/env node
// varve: looks at checkpoint directories. Writes nothing.
import { parseArgs } from "node:util";
import { CheckpointReader } from "../checkpoint/checkpoint-reader.ts";
import { fileSystemStorage } from "../checkpoint/file-system-storage.ts";
import { StateBackendError } from "../errors.ts";
import type { CheckpointMetadata } from "../format/metadata.ts";
import { verifyCheckpoint } from "./verify-checkpoint.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

const HELP = `varve COMMAND DIRECTORY [--json]

  ls        the retained checkpoints: id, size, key groups, states
  verify    reads every byte of the newest checkpoint and compares length and SHA-256

DIRECTORY is the root given to fileSystemStorage. --json prints one JSON object a line.
Exit code: 0 all is right; 1 something is damaged or missing; 2 wrong usage.
`;

async function main(args: readonly string[]): Promise<number> {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { json: { type: "boolean" }, help: { type: "boolean" } },
    });
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
  const [command, directory, ...rest] = parsed.positionals;
  if (parsed.values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  if (directory === undefined || rest.length > 0)
    return usage("a command and a directory are needed");
  const reader = new CheckpointReader(fileSystemStorage(directory));
  const print = (record: object, text: string): void => {
    process.stdout.write(parsed.values.json === true ? `${JSON.stringify(record)}\n` : `${text}\n`);
  };
  if (command === "ls") return list(reader, print);
  if (command === "verify") return verify(reader, print);
  return usage(`unknown command ${String(command)}`);
}

function usage(message: string): number {
  process.stderr.write(`${message}\n\n${HELP}`);
  return EXIT_USAGE;
}

type Print = (record: object, text: string) => void;

async function list(reader: CheckpointReader, print: Print): Promise<number> {
  const newest = await reader.findNewest();
  if (newest === undefined) {
    process.stderr.write(`there is no checkpoint in ${reader.storage.description}\n`);
    return EXIT_FAILED;
  }
  let oldest = 1;
  for (let number = newest; number >= oldest && (await reader.exists(number)); number--) {
    const metadata = await reader.load(number);
    oldest = Math.max(oldest, metadata.oldestRetained);
    print(describe(metadata), textOf(metadata));
  }
  return 0;
}

function describe(metadata: CheckpointMetadata): object {
  const { checkpointId, completionNumber, createdAtMs, policy, backendKind, handles } = metadata;
  return {
    checkpointId,
    completionNumber,
    createdAt: new Date(createdAtMs).toISOString(),
    policy,
    backend: backendKind,
    totalBytes: handles.reduce((sum, handle) => sum + handle.base.totalBytes, 0),
    fileCount: handles.reduce((sum, handle) => sum + handle.base.fileCount, 0),
    keyGroups: handles.map((handle) => handle.keyGroups),
    states: handles[0]?.states ?? [],
  };
}

function textOf(metadata: CheckpointMetadata): string {
  const { checkpointId, createdAtMs, policy, backendKind, handles } = metadata;
  const bytes = handles.reduce((sum, handle) => sum + handle.base.totalBytes, 0);
  const files = handles.reduce((sum, handle) => sum + handle.base.fileCount, 0);
  const states = handles[0]?.states.map((state) => `${state.name}:${state.type}`).join(" ") ?? "";
  const when = new Date(createdAtMs).toISOString();
  return `${checkpointId}  ${when}  ${backendKind} ${policy}  ${bytes} bytes in ${files} files  ${states}`;
}

async function verify(reader: CheckpointReader, print: Print): Promise<number> {
  const metadata = await reader.loadNewest();
  const result = await verifyCheckpoint(reader.storage, metadata);
  const { checkpointId } = metadata;
  print(
    { checkpointId, ...result, ok: true },
    `checkpoint ${checkpointId}: ${result.fileCount} files, ${result.totalBytes} bytes, all as recorded`,
  );
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof StateBackendError)) throw error;
  process.stderr.write(`${error.code}: ${error.message}\n`);
  process.exitCode = EXIT_FAILED;
}

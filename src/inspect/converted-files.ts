// The files of a converted checkpoint, in the form that is asked for: rows of a canonical savepoint, a
// dump of the memory backend, tables of the LSM.
//   F1. All of one base, in the order of the rows.
//   F2. Files are made in a directory that the caller removes, and stored from there.
import { join } from "node:path";
import {
  type BaseWriterTools,
  type WrittenBase,
  writeDump,
  writeSstSet,
} from "../checkpoint/base-writer.ts";
import { writeCanonical } from "../checkpoint/canonical-writer.ts";
import { DUMP_FILE_RAW_BYTES } from "../format/dump.ts";
import { levelFor, validateFileSet } from "../format/leveldb-file-set.ts";
import { BUILT_SEQUENCE } from "../format/leveldb-table-builder.ts";
import { DumpWriter } from "../workers/dump-writer.ts";
import type { TaskContext } from "../workers/tasks.ts";
import { TableWriter, type WrittenTable } from "../workers/table-writer.ts";
import type { ConversionPlan } from "./conversion-plan.ts";
import type { RowTarget } from "./row-target.ts";

/** LevelDB's files of the lsm backend; blocks as its default is. */
const TABLE_BYTES = 8_388_608;
const BLOCK_BYTES = 4096;

export interface ConvertedFiles {
  readonly target: RowTarget;
  /** Ends the files and stores them. */
  store(tools: BaseWriterTools): Promise<WrittenBase>;
  /** Removes what was made. */
  discard(): Promise<void>;
}

export async function beginFiles(
  plan: ConversionPlan,
  directory: string,
  context: TaskContext,
): Promise<ConvertedFiles> {
  const pathPrefix = join(directory, "rows-");
  if (plan.format === "native" && plan.backendKind === "lsm") {
    const tables = { pathPrefix, fileBytes: TABLE_BYTES, blockSizeBytes: BLOCK_BYTES };
    const writer = new TableWriter(tables, context);
    return {
      target: writer,
      store: async (tools) => storeTables(await writer.finish(), plan, tools),
      discard: () => writer.discard(),
    };
  }
  const dump = { pathPrefix, fileRawBytes: DUMP_FILE_RAW_BYTES };
  const writer = new DumpWriter(dump, context, await context.tools());
  return {
    target: writer,
    store: async (tools) => {
      const files = await writer.finish();
      if (plan.format === "native") return writeDump(files, tools);
      return writeCanonical([() => Promise.resolve(files)], 1, tools);
    },
    discard: () => writer.discard(),
  };
}

async function storeTables(
  tables: readonly WrittenTable[],
  { keyGroups }: ConversionPlan,
  tools: BaseWriterTools,
): Promise<WrittenBase> {
  const level = levelFor(tables.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0));
  const files = tables.map(({ path, lengthBytes, smallest, largest }, index) => {
    return { path, lengthBytes, level, number: index + 1, smallest, largest };
  });
  const [lastSequence, nextFile] = [BUILT_SEQUENCE, files.length + 1];
  // In pairs: LevelDB's rules hold before anybody restores it.
  const set = {
    files: files.map((file) => ({ ...file, sizeBytes: file.lengthBytes })),
    lastSequence,
    nextFile,
    logNumber: 0,
  };
  validateFileSet(set, "the tables to be written", keyGroups);
  return writeSstSet({ lastSequence, nextFile, files, reuse: new Map() }, tools);
}

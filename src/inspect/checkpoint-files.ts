// What a checkpoint's files are, in which key groups, and who else has them.
import type { SharedFile } from "../api/keyed-state-backend.ts";
import { type BasePart, groupsOfSst } from "./base-part.ts";
import type { Groups } from "./row-source.ts";

export interface CheckpointFile extends SharedFile {
  readonly kind: "sst" | "dump" | "file-list";
  /** Key groups whose rows may be in it: those between the bounds of an SST, else all of its base. */
  readonly keyGroups: Groups;
  /** LevelDB's level and number, of SSTs. */
  readonly level?: number | undefined;
  readonly number?: number | undefined;
  /** Rows, where the file list tells: of dumps. */
  readonly rowCount?: number | undefined;
}

export async function filesOf(parts: readonly BasePart[]): Promise<readonly CheckpointFile[]> {
  const files: (readonly CheckpointFile[])[] = [];
  for (const part of parts) files.push([fileListOf(part)], await listedFilesOf(part));
  return files.flat();
}

export function fileListOf({ handle }: BasePart): CheckpointFile {
  const { first, last } = handle.keyGroups;
  return { ...handle.base.fileList, kind: "file-list", keyGroups: { first, last } };
}

/** The files that the part's file list names, in its order. */
export async function listedFilesOf(part: BasePart): Promise<readonly CheckpointFile[]> {
  const { first, last } = part.handle.keyGroups;
  const list = await part.list();
  if (list.kind !== "sst-set") {
    return list.files.map((file) => ({ ...file, kind: "dump", keyGroups: { first, last } }));
  }
  return list.files.map((file) => {
    const { id, lengthBytes, sha256, level, number } = file;
    const keyGroups = groupsOfSst(file);
    return { id, lengthBytes, sha256, kind: "sst", keyGroups, level, number };
  });
}

// What a checkpoint's files are, in which key groups, and who else has them.
import type { SegmentHandle, SharedFile } from "../api/keyed-state-backend.ts";
import { type BasePart, groupsOfSst } from "./base-part.ts";
import type { Groups } from "./row-source.ts";

export interface CheckpointFile extends SharedFile {
  readonly kind: "sst" | "dump" | "file-list" | "segment";
  /**
   * Key groups whose rows may be in it: those between the bounds of an SST, all of its base for a dump, and
   * for a segment all from the first to the last of the handles that name it.
   */
  readonly keyGroups: Groups;
  /** LevelDB's level and number, of SSTs. */
  readonly level?: number | undefined;
  readonly number?: number | undefined;
  /** Rows, where the file list tells: of dumps. */
  readonly rowCount?: number | undefined;
}

/** Each file once. Of a segment, as much as any handle of the checkpoint names. */
export async function filesOf(parts: readonly BasePart[]): Promise<readonly CheckpointFile[]> {
  const files: (readonly CheckpointFile[])[] = [];
  for (const part of parts) files.push([fileListOf(part)], await listedFilesOf(part));
  return [...files.flat(), ...segmentsOf(parts)];
}

export function fileListOf({ handle }: BasePart): CheckpointFile {
  const { first, last } = handle.keyGroups;
  return { ...handle.base.fileList, kind: "file-list", keyGroups: { first, last } };
}

/** The segments of all handles, each at its greatest length. */
export function segmentsOf(parts: readonly Pick<BasePart, "handle">[]): readonly CheckpointFile[] {
  const segments = new Map<string, CheckpointFile>();
  for (const { handle } of parts) {
    const { first, last } = handle.keyGroups;
    for (const segment of handle.log?.segments ?? []) {
      const known = segments.get(segment.id);
      const longest = known === undefined || known.lengthBytes < segment.lengthBytes;
      const { id, lengthBytes, sha256 } = longest ? segment : known;
      const keyGroups = {
        first: Math.min(first, known?.keyGroups.first ?? first),
        last: Math.max(last, known?.keyGroups.last ?? last),
      };
      segments.set(id, { id, lengthBytes, sha256, kind: "segment", keyGroups });
    }
  }
  return [...segments.values()];
}

/** Each segment at each length that some handle names. */
export function segmentPrefixesOf(parts: readonly BasePart[]): readonly SegmentHandle[] {
  const prefixes = new Map<string, SegmentHandle>();
  for (const segment of parts.flatMap(({ handle }) => handle.log?.segments ?? [])) {
    prefixes.set(prefixKeyOf(segment), segment);
  }
  return [...prefixes.values()];
}

export function prefixKeyOf({ id, lengthBytes, sha256 }: SegmentHandle): string {
  return `${id} ${lengthBytes} ${sha256}`;
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

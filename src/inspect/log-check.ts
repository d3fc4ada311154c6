// Looks at every frame and row of a log, whatever is wrong with others.
import { FILES_PREFIX } from "../checkpoint/layout.ts";
import { readChanges, ChangeKind } from "../format/changelog-rows.ts";
import { RowAddresses } from "../state/row-addresses.ts";
import type { LogSource } from "./log-source.ts";
import type { Groups } from "./row-source.ts";

export interface FrameFault {
  readonly id: string;
  readonly keyGroups: Groups;
  readonly error: unknown;
}

/** Of each frame that is damaged, or whose rows are not those of the handle: the key groups it hits. */
export async function checkLogRows(
  log: LogSource,
  checkStop: () => void,
): Promise<readonly FrameFault[]> {
  const { keyGroups, states } = log.handle;
  const addresses = new RowAddresses(keyGroups, states);
  const faults: FrameFault[] = [];
  for (const { file, groups, decode } of log.eachFrame()) {
    checkStop();
    try {
      const { rows, offset } = await decode();
      readChanges(rows, file, offset, (kind, key, value) => {
        addresses.select(key, file);
        if (kind === ChangeKind.put) addresses.checkRow(value, file);
      });
    } catch (error) {
      faults.push({ id: file.slice(FILES_PREFIX.length), keyGroups: groups, error });
    }
  }
  if (faults.length > 0) return faults;
  try {
    // Counts the rows of each batch.
    for await (const _frame of log.frames(keyGroups)) checkStop();
  } catch (error) {
    const { file } = error as { readonly file?: string };
    const { first, last } = keyGroups;
    const id = (file ?? FILES_PREFIX).slice(FILES_PREFIX.length);
    faults.push({ id, keyGroups: { first, last }, error });
  }
  return faults;
}

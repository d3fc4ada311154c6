// In which order the records of the file are delivered: a fixed function of their number. So a
// position names a delivery for ever, and replay from a position is exact.
//
// Most records come in the order of the file. 5 % come late and 2 % come a second time, both by 50,000
// to 1,000,000 positions, so that their state has left the write buffer by then. Files of less than
// 3,000,000 records shrink these distances to a 60th at least and a third at most of their length.
//   O1. Every position from 0 to records + redelivered - 1 delivers one record.
//   O2. Every record is delivered, exactly 5 % of them late, exactly 2 % twice; none is both.
import { hashInteger } from "./seeded-random.ts";

const LATE_RATIO = 0.05;
const REDELIVERED_RATIO = 0.02;
const DISTANCE_MIN = 50_000;
const DISTANCE_MAX = 1_000_000;

const CHOICE_SALT = 1;
const DISTANCE_SALT = 2;

export interface DeliveryOrder {
  /** Number of the record that each position delivers. */
  readonly records: Int32Array;
  readonly recordCount: number;
  readonly lateCount: number;
  readonly redeliveredCount: number;
}

/** One pass over the positions. Takes 4 bytes a position. */
export function deliveryOrder(recordCount: number): DeliveryOrder {
  const distanceMin = Math.min(DISTANCE_MIN, Math.floor(recordCount / 60));
  const distanceMax = Math.min(DISTANCE_MAX, Math.floor(recordCount / 3));
  const lateCount = distanceMin === 0 ? 0 : Math.floor(recordCount * LATE_RATIO);
  const redeliveredCount = distanceMin === 0 ? 0 : Math.floor(recordCount * REDELIVERED_RATIO);
  const positionCount = recordCount + redeliveredCount;
  const records = new Int32Array(positionCount).fill(-1);
  // Records after this one are neither late nor redelivered: there would be no room behind them.
  const choosableCount = recordCount - 3 * distanceMin;

  let lateLeft = lateCount;
  let redeliveredLeft = redeliveredCount;
  let position = 0;
  for (let record = 0; record < recordCount; record++) {
    while (records[position] !== -1) position++; // Promised to a late one, or to a second delivery.
    const choosableLeft = choosableCount - record;
    const chosenLeft = lateLeft + redeliveredLeft;
    if (chosenLeft > 0) {
      // Selection sampling: of what is left to choose from, exactly what is left to choose.
      const choice = (hashInteger(record, CHOICE_SALT) / 2 ** 32) * choosableLeft;
      if (choice < chosenLeft) {
        const isLate = choice < lateLeft;
        const last = Math.min(position + distanceMax, positionCount - 1);
        records[freePosition(records, record, position + distanceMin, last)] = record;
        if (isLate) lateLeft--;
        else redeliveredLeft--;
        if (isLate) continue; // The next record takes this position.
      }
    }
    records[position++] = record;
  }
  return { records, recordCount, lateCount, redeliveredCount };
}

/** A position from `first` to `last` that delivers nothing so far. At most a third of them is taken. */
function freePosition(records: Int32Array, record: number, first: number, last: number): number {
  const width = last - first + 1;
  let offset = hashInteger(record, DISTANCE_SALT) % width;
  while (records[first + offset] !== -1) offset = (offset + 1) % width;
  return first + offset;
}

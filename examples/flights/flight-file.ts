// Reads flights from a Parquet file, one row group at a time, into typed arrays. Whatever is wrong
// with the file is an InputError: what passes here is taken at its word by everything else.
import { asyncBufferFromFile, parquetMetadataAsync, parquetRead } from "hyparquet";
import type { AsyncBuffer, DecodedArray, FileMetaData } from "hyparquet";
import { compressors } from "hyparquet-compressors";

/** The input file is absent, damaged, or holds something else than flights. */
export class InputError extends Error {
  override readonly name = "InputError";
}

/** Consecutive records as columns. Airports are indexes into `FlightFile.airports`. */
export interface FlightColumns {
  readonly firstRecord: number;
  readonly count: number;
  /** Scheduled departure, minutes since 1970 UTC. */
  readonly minutes: Int32Array;
  /** Minutes; negative is early. */
  readonly delays: Int32Array;
  /** Miles. */
  readonly distances: Int32Array;
  readonly origins: Uint16Array;
  readonly destinations: Uint16Array;
}

export interface RowGroup {
  readonly indexInFile: number;
  /** All of it is decoded, also when the limit cuts it. */
  readonly rowsInFile: number;
  readonly firstRecord: number;
  readonly count: number;
}

const columnNames = ["date", "delay", "distance", "origin", "destination"] as const;
export type ColumnName = (typeof columnNames)[number];

/** As columns have them: minutes, integers, codes. */
export interface StatedRange {
  readonly min: number | string;
  readonly max: number | string;
}

const MS_PER_MINUTE = 60_000;
const AIRPORT_COUNT_MAX = 65_536;
const airportPattern = /^[A-Z0-9]{2,4}$/;

/** To minutes; NaN for what is not a whole minute. Runs once per value of a dictionary. */
const parsers = {
  timestampFromMilliseconds: (value: bigint) => wholeMinutes(value, 60_000n),
  timestampFromMicroseconds: (value: bigint) => wholeMinutes(value, 60_000_000n),
  timestampFromNanoseconds: (value: bigint) => wholeMinutes(value, 60_000_000_000n),
};

function wholeMinutes(value: bigint, unit: bigint): number {
  return value % unit === 0n ? Number(value / unit) : Number.NaN;
}

export class FlightFile {
  readonly path: string;
  /** Records to read: the whole file, or its first `limit`. */
  readonly recordCount: number;
  readonly groups: readonly RowGroup[];
  /** Codes in the order in which they were first read; grows with every group. */
  readonly airports: string[] = [];
  readonly #file: AsyncBuffer;
  readonly #metadata: FileMetaData;
  readonly #airportIndexes = new Map<string, number>();

  private constructor(path: string, file: AsyncBuffer, metadata: FileMetaData, limit: number) {
    this.path = path;
    this.#file = file;
    this.#metadata = metadata;
    this.groups = rowGroups(path, metadata, limit);
    this.recordCount = this.groups.reduce((sum, group) => sum + group.count, 0);
  }

  /** Reads the footer. Nothing stays open between reads. */
  static async open(path: string, limit: number = Number.POSITIVE_INFINITY): Promise<FlightFile> {
    const file = await asyncBufferFromFile(path).catch((error: unknown) => {
      throw new InputError(`the input file cannot be read: ${messageOf(error)}`);
    });
    const metadata = await parquetMetadataAsync(file).catch((error: unknown) => {
      throw new InputError(`${path} is not an intact Parquet file: ${messageOf(error)}`);
    });
    return new FlightFile(path, file, metadata, limit);
  }

  /** What the footer says about a column of a whole group; undefined if it says nothing. */
  statedRange(index: number, name: ColumnName): StatedRange | undefined {
    const { indexInFile, rowsInFile, count } = this.groups[index]!;
    if (rowsInFile !== count) return undefined; // Cut by the limit.
    const group = this.#metadata.row_groups[indexInFile]!;
    const column = group.columns.find((candidate) => columnPath(candidate) === name);
    const min = comparable(column?.meta_data?.statistics?.min_value);
    const max = comparable(column?.meta_data?.statistics?.max_value);
    return min === undefined || max === undefined ? undefined : { min, max };
  }

  /** Index of the group that holds a record. */
  groupOf(record: number): number {
    let low = 0;
    let high = this.groups.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.groups[middle]!.firstRecord <= record) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Decodes one row group, column after column. */
  async readGroup(index: number): Promise<FlightColumns> {
    const { firstRecord, count } = this.groups[index]!;
    const column = async (name: ColumnName): Promise<DecodedArray> =>
      this.#readColumn(name, firstRecord, count);
    return {
      firstRecord,
      count,
      minutes: this.#integers("date", firstRecord, count, await column("date")),
      delays: this.#integers("delay", firstRecord, count, await column("delay")),
      distances: this.#integers("distance", firstRecord, count, await column("distance")),
      origins: this.#airportsOf("origin", firstRecord, count, await column("origin")),
      destinations: this.#airportsOf(
        "destination",
        firstRecord,
        count,
        await column("destination"),
      ),
    };
  }

  async #readColumn(name: ColumnName, firstRecord: number, count: number): Promise<DecodedArray> {
    const chunks: { readonly rowStart: number; readonly columnData: DecodedArray }[] = [];
    try {
      await parquetRead({
        file: this.#file,
        metadata: this.#metadata,
        columns: [name],
        rowStart: firstRecord,
        rowEnd: firstRecord + count,
        compressors,
        parsers,
        onChunk: (chunk) => chunks.push(chunk),
      });
    } catch (error) {
      throw this.#damaged(name, firstRecord, messageOf(error));
    }
    const chunk = chunks[0];
    if (chunks.length !== 1 || chunk?.rowStart !== firstRecord || chunk.columnData.length < count) {
      throw this.#damaged(name, firstRecord, "its pages do not hold what the footer says");
    }
    return chunk.columnData;
  }

  #integers(
    name: ColumnName,
    firstRecord: number,
    count: number,
    values: DecodedArray,
  ): Int32Array {
    const integers = new Int32Array(count);
    for (let index = 0; index < count; index++) {
      const value: unknown = values[index];
      const number = typeof value === "bigint" ? Number(value) : value;
      integers[index] = number as number;
      if (integers[index] !== number) throw this.#unexpected(name, firstRecord + index, value);
    }
    return integers;
  }

  #airportsOf(
    name: ColumnName,
    firstRecord: number,
    count: number,
    values: DecodedArray,
  ): Uint16Array {
    const indexes = new Uint16Array(count);
    for (let index = 0; index < count; index++) {
      const code: unknown = values[index];
      const known = this.#airportIndexes.get(code as string);
      indexes[index] = known ?? this.#addAirport(name, firstRecord + index, code);
    }
    return indexes;
  }

  #addAirport(name: ColumnName, record: number, code: unknown): number {
    const index = this.airports.length;
    if (typeof code !== "string" || !airportPattern.test(code) || index === AIRPORT_COUNT_MAX) {
      throw this.#unexpected(name, record, code);
    }
    this.airports.push(code);
    this.#airportIndexes.set(code, index);
    return index;
  }

  #damaged(name: ColumnName, record: number, why: string): InputError {
    return new InputError(
      `${this.path} is damaged in column "${name}", from record ${record} on: ${why}`,
    );
  }

  #unexpected(name: ColumnName, record: number, value: unknown): InputError {
    const text = typeof value === "string" ? JSON.stringify(value.slice(0, 40)) : String(value);
    return new InputError(
      `${this.path} does not hold flights: column "${name}" of record ${record} is ${text}`,
    );
  }
}

/** The groups that hold the first `limit` records, the last one cut. */
function rowGroups(path: string, metadata: FileMetaData, limit: number): RowGroup[] {
  const present = new Set(metadata.row_groups.flatMap((group) => group.columns).map(columnPath));
  const missing = columnNames.filter((name) => !present.has(name));
  if (metadata.row_groups.length > 0 && missing.length > 0) {
    throw new InputError(
      `${path} does not hold flights: it has no column "${missing.join('", "')}"`,
    );
  }
  const groups: RowGroup[] = [];
  let firstRecord = 0;
  for (const [indexInFile, group] of metadata.row_groups.entries()) {
    const rows = Number(group.num_rows);
    if (!Number.isSafeInteger(rows) || rows < 0) {
      throw new InputError(`${path} is damaged: a row group claims ${rows} rows`);
    }
    const count = Math.min(rows, limit - firstRecord);
    if (count > 0) groups.push({ indexInFile, rowsInFile: rows, firstRecord, count });
    firstRecord += rows;
  }
  if (firstRecord !== Number(metadata.num_rows)) {
    throw new InputError(`${path} is damaged: its row groups do not add up`);
  }
  if (firstRecord === 0) throw new InputError(`${path} holds no records`);
  if (firstRecord >= 2 ** 31) throw new InputError(`${path} holds more than 2^31 records`);
  return groups;
}

function columnPath(column: FileMetaData["row_groups"][number]["columns"][number]): string {
  return column.meta_data?.path_in_schema.join(".") ?? "";
}

function comparable(statistic: unknown): number | string | undefined {
  if (statistic instanceof Date) return statistic.getTime() / MS_PER_MINUTE;
  if (typeof statistic === "bigint") return Number(statistic);
  return typeof statistic === "number" || typeof statistic === "string" ? statistic : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { CorruptionError } from "../../../src/errors.ts";
import { crc32c, maskCrc } from "../../../src/format/leveldb-crc32c.ts";
import { LOG_BLOCK_BYTES, readLog, writeLog } from "../../../src/format/leveldb-log.ts";

const ascii = (text: string): Buffer => Buffer.from(text, "latin1");
const filled = (length: number): Buffer => Buffer.alloc(length, length & 255);

function corruptAt(offset: number): (error: unknown) => boolean {
  return (error) =>
    error instanceof CorruptionError && error.file === "log" && error.offsetBytes === offset;
}

describe("CRC-32C", () => {
  test("agrees with RFC 3720 and with LevelDB's mask", () => {
    assert.equal(crc32c(Buffer.alloc(32), 0, 32), 0x8a9136aa);
    assert.equal(crc32c(Buffer.alloc(32, 255), 0, 32), 0x62a8ab43);
    assert.equal(crc32c(ascii("123456789"), 0, 9), 0xe3069283);
    assert.equal(maskCrc(0), 0xa282ead8);
    assert.equal(maskCrc(0x0000_8000), 0xa282ead9);
  });
});

describe("a log", () => {
  test("of one record has the bytes that its page shows", () => {
    const log = writeLog([ascii("varve")]);
    assert.equal(Buffer.from(log).toString("hex"), GOLDEN_RECORD);
  });

  test("gives back records of every size around a block's end", () => {
    const sizes = [0, 1, 100];
    for (let delta = -15; delta <= 15; delta++) sizes.push(LOG_BLOCK_BYTES + delta, 7 - delta / 3);
    const records = [...sizes, 3 * LOG_BLOCK_BYTES].map((size) => filled(Math.max(0, size | 0)));
    const log = writeLog(records);
    const { records: read, endOffset, tornBytes } = readLog(log, 0, "log");
    assert.deepEqual(
      read.map((record) => Buffer.from(record.bytes)),
      records,
    );
    assert.equal(endOffset, log.length);
    assert.equal(tornBytes, 0);
  });

  test("cut anywhere gives the records before the cut, and goes on from there", () => {
    const records = [filled(20), filled(LOG_BLOCK_BYTES + 50), filled(9)];
    const log = writeLog(records);
    const whole = readLog(log, 0, "log").records;
    const cuts = [0, 3, 7, 26, 27, 30, 40, 32_767, 32_768, 32_770, log.length - 1];
    for (const cut of cuts) {
      const prefix = readLog(log.subarray(0, cut), 0, "log");
      const expected = whole.filter((record) => record.endOffset <= cut);
      assert.equal(prefix.records.length, expected.length, `cut at ${cut}`);
      assert.equal(prefix.endOffset, expected.at(-1)?.endOffset ?? 0);
      assert.equal(prefix.tornBytes, cut - prefix.endOffset);
      const rest = readLog(log.subarray(prefix.endOffset), prefix.endOffset, "log");
      assert.equal(prefix.records.length + rest.records.length, records.length);
      assert.equal(rest.endOffset, log.length);
    }
  });

  test("that ends in zeros is torn, not corrupt", () => {
    const log = writeLog([ascii("varve")]);
    const { records, tornBytes } = readLog(Buffer.concat([log, Buffer.alloc(100)]), 0, "log");
    assert.equal(records.length, 1);
    assert.equal(tornBytes, 100);
  });

  test("with a flipped bit is corrupt, in the middle as in the last record", () => {
    const log = writeLog([filled(20), filled(30)]);
    for (let at = 0; at < log.length; at++) {
      if (at % 27 === 4 || at % 27 === 5) continue; // A longer length may look like a torn tail.
      const damaged = Buffer.from(log);
      damaged[at]! ^= 1;
      assert.throws(() => readLog(damaged, 0, "log"), corruptAt(at < 27 ? 0 : 27), `byte ${at}`);
    }
  });

  test("with a fragment out of place is corrupt", () => {
    const log = writeLog([filled(LOG_BLOCK_BYTES + 50)]);
    const lastOnly = log.subarray(LOG_BLOCK_BYTES);
    assert.throws(() => readLog(lastOnly, 0, "log"), corruptAt(0));
    const twice = Buffer.concat([log.subarray(0, LOG_BLOCK_BYTES), writeLog([filled(4)])]);
    assert.throws(() => readLog(twice, 0, "log"), corruptAt(LOG_BLOCK_BYTES));
    const crossing = Buffer.from(log);
    crossing.writeUInt16LE(LOG_BLOCK_BYTES, 4);
    assert.throws(() => readLog(crossing, 0, "log"), corruptAt(0));
  });
});

/** docs/formats/leveldb-directory.md#log-container */
const GOLDEN_RECORD = "324d8ca00500017661727665";

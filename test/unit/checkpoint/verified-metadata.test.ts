import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { MetadataVerifier } from "../../../src/checkpoint/verified-metadata.ts";
import { nodeEnvironment } from "../../../src/environment/node-environment.ts";
import { loadFrameChecksum } from "../../../src/format/frame-checksum.ts";
import { decodeMetadata } from "../../../src/format/metadata.ts";
import { exampleMetadata } from "../../support/format-examples.ts";

describe("metadata that is encoded and checked", () => {
  test("leaves turns to records the first time, and where it is or was long", async () => {
    const { timers } = nodeEnvironment();
    let turns = 0;
    const yieldTurn = async (): Promise<void> => {
      turns++;
      await timers.yieldTurn();
    };
    const verifier = new MetadataVerifier({ ...timers, yieldTurn });
    const turnsOf = async (textLength: number): Promise<number> => {
      const metadata = { ...exampleMetadata, userMetadata: "x".repeat(textLength) };
      turns = 0;
      const bytes = await verifier.encode(metadata);
      assert.deepEqual(decodeMetadata(bytes, await loadFrameChecksum(), "m"), metadata);
      return turns;
    };
    assert.equal(await turnsOf(10), 3);
    assert.equal(await turnsOf(10), 0);
    assert.equal(await turnsOf(10_000), 2);
    assert.equal(await turnsOf(10), 3);
    assert.equal(await turnsOf(10), 0);
  });

  test("is refused if a reader would refuse it", async () => {
    const verifier = new MetadataVerifier(nodeEnvironment().timers);
    const metadata = { ...exampleMetadata, completionNumber: -1 };
    await assert.rejects(verifier.encode(metadata), { code: "VARVE_CORRUPTION" });
  });
});

import assert from "node:assert/strict";
import fc from "fast-check";
import { describe, test } from "vitest";
import {
  CHUNK_PLAIN_BYTES,
  ObjectCipher,
  PROTECTED_HEADER_BYTES,
  authenticate,
  authenticated,
  decryptObject,
  encryptObject,
  plainLength,
} from "../../../src/format/protected-object.ts";
import { fixture } from "../../support/format-examples.ts";

const key = { id: "k1", key: new Uint8Array(32).fill(1) };
const other = { id: "k2", key: new Uint8Array(32).fill(2) };
const varve = new Uint8Array(Buffer.from("varve"));
const salt = new Uint8Array(32).fill(3);

function encrypted(content: Uint8Array, name: string = "files/a"): Uint8Array {
  return encryptObject(content, ObjectCipher.create(name, key, salt));
}

describe("an authenticated object", () => {
  test("is what its page says", () => {
    assert.deepEqual(authenticate(varve, "latest", key), fixture("protected-mac-v1.bin"));
    assert.deepEqual(authenticated(fixture("protected-mac-v1.bin"), "latest", [other, key]), varve);
  });

  test("is refused with any bit flipped, under another name, and with another key of the same id", () => {
    const object = authenticate(varve, "latest", key);
    for (let bit = 0; bit < object.length * 8; bit++) {
      const damaged = object.slice();
      damaged[bit >>> 3]! ^= 1 << (bit & 7);
      assert.throws(() => authenticated(damaged, "latest", [key]), /VARVE|Corruption|Unsupported/u);
    }
    for (let length = 0; length < object.length; length++) {
      assert.throws(() => authenticated(object.slice(0, length), "latest", [key]));
    }
    const isCorruption = { code: "VARVE_CORRUPTION" };
    assert.throws(() => authenticated(object, "metadata/0000000001", [key]), isCorruption);
    assert.throws(() => authenticated(object, "latest", [{ ...other, id: "k1" }]), isCorruption);
    assert.throws(() => authenticated(varve, "latest", [key]), isCorruption);
    assert.throws(() => authenticated(object, "latest", [other]), {
      code: "VARVE_UNSUPPORTED_FORMAT",
    });
  });
});

describe("an encrypted object", () => {
  test("is what its page says", () => {
    assert.deepEqual(encrypted(varve), fixture("protected-encrypted-v1.bin"));
    assert.deepEqual(decryptObject(fixture("protected-encrypted-v1.bin"), "files/a", [key]), varve);
  });

  test("comes back whole, at every length around the chunks", () => {
    for (const chunks of [0, 1, 2]) {
      for (const more of [-1, 0, 1]) {
        const length = chunks * CHUNK_PLAIN_BYTES + more;
        if (length < 0) continue;
        const content = Uint8Array.from({ length }, (_, i) => i * 7);
        const object = encrypted(content);
        assert.equal(plainLength(object.length, "files/a"), length);
        assert.deepEqual(decryptObject(object, "files/a", [other, key]), content);
      }
    }
  });

  test("is refused with any bit flipped, cut anywhere, under another name, and with another key", () => {
    const object = encrypted(varve);
    for (let bit = 0; bit < object.length * 8; bit++) {
      const damaged = object.slice();
      damaged[bit >>> 3]! ^= 1 << (bit & 7);
      assert.throws(() => decryptObject(damaged, "files/a", [key]), `bit ${bit}`);
    }
    for (let length = 0; length < object.length; length++) {
      assert.throws(() => decryptObject(object.slice(0, length), "files/a", [key]));
    }
    const isCorruption = { code: "VARVE_CORRUPTION" };
    assert.throws(() => decryptObject(object, "files/b", [key]), isCorruption);
    assert.throws(() => decryptObject(object, "files/a", [{ ...other, id: "k1" }]), isCorruption);
  });

  test("is refused with its last chunk missing, and with two chunks exchanged", () => {
    const object = encrypted(new Uint8Array(2 * CHUNK_PLAIN_BYTES));
    const half = PROTECTED_HEADER_BYTES + CHUNK_PLAIN_BYTES + 16;
    const isCorruption = { code: "VARVE_CORRUPTION" };
    assert.throws(() => decryptObject(object.slice(0, half), "files/a", [key]), isCorruption);
    const exchanged = object.slice();
    exchanged.set(object.subarray(half), PROTECTED_HEADER_BYTES);
    exchanged.set(object.subarray(PROTECTED_HEADER_BYTES, half), half);
    assert.throws(() => decryptObject(exchanged, "files/a", [key]), isCorruption);
  });

  test("gives typed errors for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const begins = new Uint8Array([...encrypted(varve).subarray(0, 80), ...bytes]);
        for (const object of [bytes, begins]) {
          assert.throws(() => decryptObject(object, "files/a", [key]), { code: /^VARVE_/u });
          assert.throws(() => authenticated(object, "latest", [key]), { code: /^VARVE_/u });
        }
      }),
      { numRuns: 200 },
    );
  });
});

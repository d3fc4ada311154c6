import assert from "node:assert/strict";
import { use } from "./use.mjs";

// The memory backend's dump is compressed, so a codec is loaded.
const { compressionCodec } = await use("memory");
assert.equal(compressionCodec, process.argv[2]);

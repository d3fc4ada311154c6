const assert = require("node:assert/strict");
const { openKeyedStateBackend, f64 } = require("varve");
const { defineKeyedStateSuite } = require("varve/testing");
const { openCheckpoint } = require("varve/inspect");
assert.equal(typeof openCheckpoint, "function");
assert.equal(typeof openKeyedStateBackend, "function");
assert.equal(f64.fingerprint, "f64");
assert.equal(typeof defineKeyedStateSuite, "function");

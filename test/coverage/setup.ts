// Runs beside each file of tests: vitest kills its processes, and Node writes down what it counted only where one
// ends by itself. Threads that live at that moment count nothing.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { takeCoverage } from "node:v8";
import { afterAll } from "vitest";

afterAll(() => {
  takeCoverage();
  const counts = readdirSync(process.env["NODE_V8_COVERAGE"]!);
  assert.ok(counts.some((name) => name.startsWith(`coverage-${process.pid}-`)));
});

// Runs beside each file of tests: vitest kills its processes, and Node writes down what it counted only where one ends by itself.
import { takeCoverage } from "node:v8";
import { afterAll } from "vitest";

afterAll(() => takeCoverage());

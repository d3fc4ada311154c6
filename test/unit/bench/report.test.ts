import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "vitest";
import { pageOf } from "../../../bench/report/page.ts";
import { plotsOf } from "../../../bench/report/plots.ts";
import {
  type BenchResult,
  linesOf,
  parseLines,
  readResults,
} from "../../../bench/report/results.ts";
import { barPlot, linePlot } from "../../../bench/report/svg.ts";
import { temporaryDirectory } from "../../support/temporary-directory.ts";

const machine = "processor, 2 cores";

function resultOf(name: string, lines: BenchResult["lines"], exitCode: number | null): BenchResult {
  const ending = {
    command: name,
    commit: "abc",
    date: "2026-01-01T00:00:00Z",
    machine,
    seconds: 3,
    exitCode,
  };
  return { name, lines, ending };
}

function measure(id: string, ok: boolean): BenchResult["lines"][number] {
  return { id, name: `measure ${id}`, value: 1.5, asked: ">= 2", ok, unit: "ratio" };
}

describe("the report", () => {
  test("lists what was missed before what was reached, and counts both", () => {
    const results = [
      resultOf("state", [measure("A1", true), measure("A2", false), measure("A3", false)], 0),
    ];
    const page = pageOf({ versions: [], results, plots: [], rawPath: "raw" });
    assert.match(page, /## Reached: 1 of 3/u);
    assert.ok(page.indexOf("measure A2") < page.indexOf("measure A1"));
    assert.ok(page.indexOf("measure A3") < page.indexOf("measure A1"));
  });

  test("counts no measure of which nothing was asked", () => {
    const beside = { ...measure("E4", false), asked: null, ok: null };
    const results = [resultOf("rivals", [measure("E1", true), beside], 0)];
    const page = pageOf({ versions: [], results, plots: [], rawPath: "raw" });
    assert.match(page, /## Reached: 1 of 1/u);
    assert.ok(page.indexOf("measure E4") > page.indexOf("### Printed beside"));
  });

  test("tells runs of several machines apart", () => {
    const first = resultOf("db", [], 0);
    const other = { ...first.ending!, machine: "another" };
    const results = [first, resultOf("ycsb", [], 0), { ...first, name: "load", ending: other }];
    const page = pageOf({ versions: [], results, plots: [], rawPath: "raw" });
    assert.match(page, /- Machine A: processor, 2 cores\n- Machine B: another\n/u);
    assert.equal(page.match(/\| whole \| A /gu)?.length, 2);
    assert.equal(page.match(/\| whole \| B /gu)?.length, 1);
  });

  test("says what was interrupted, and what was not run and why", () => {
    const results = [
      { name: "db", lines: [measure("A1", true)], ending: undefined },
      resultOf("rivals", [{ id: "E4", name: "cold", notRun: "because there is no mvn" }], null),
    ];
    const page = pageOf({ versions: [], results, plots: [], rawPath: "raw" });
    assert.match(page, /interrupted, 1 lines kept/u);
    assert.match(page, /\| rivals *\| E4 cold *\| because there is no mvn/u);
  });

  test("leaves out a line that was cut, and keeps those before it", () => {
    assert.deepEqual(parseLines('{"id":"A1"}\nnpm notice\n{"id":"A2"}\n{"id":"A'), [
      { id: "A1" },
      { id: "A2" },
    ]);
  });

  test("takes the parts of a bench together", () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "rivals.E1.jsonl"), '{"id":"E1"}\n');
    writeFileSync(join(directory, "rivals.E6+E7.jsonl"), '{"id":"E6"}\n{"id":"E7"}\n');
    const results = readResults(directory);
    assert.deepEqual(linesOf(results, "rivals"), [{ id: "E1" }, { id: "E6" }, { id: "E7" }]);
  });

  test("takes a measure that was made again from the later run, the others from the earlier", () => {
    const directory = temporaryDirectory();
    const keep = (part: string, date: string, lines: readonly object[]): void => {
      const path = join(directory, part);
      writeFileSync(`${path}.jsonl`, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
      writeFileSync(`${path}.ending.json`, JSON.stringify({ date, exitCode: 0 }));
    };
    keep("rivals.E1", "2026-01-01T00:00:00Z", [measure("E1", false), measure("E2", false)]);
    keep("rivals.E1:again", "2026-01-02T00:00:00Z", [measure("E1", true)]);
    keep("state", "2026-01-03T00:00:00Z", [measure("E1", true), { bench: "state" }]);
    const results = readResults(directory);
    const rivals = linesOf(results, "rivals").map(({ id, ok }) => `${String(id)} ${String(ok)}`);
    assert.deepEqual(rivals.toSorted(), ["E1 true", "E2 false"]);
    assert.equal(linesOf(results, "state").length, 2);
  });

  test("draws no plot of what was not measured", () => {
    assert.deepEqual(plotsOf([resultOf("matrix", [], 0)]), []);
  });
});

describe("plots", () => {
  test("put greater values higher, on both kinds of scale", () => {
    for (const isLog of [true, false]) {
      const svg = linePlot({
        title: "a < b",
        x: { label: "x" },
        y: { label: "y", isLog },
        series: [
          {
            name: "one",
            points: [
              [1, 10],
              [2, 1000],
            ],
          },
        ],
      });
      const points = /polyline points="([^"]+)"/u.exec(svg)![1]!.split(" ");
      const [first, second] = points.map((point) => point.split(",").map(Number));
      assert.ok(first![0]! < second![0]!);
      assert.ok(first![1]! > second![1]!);
      assert.match(svg, /a &lt; b/u);
      assert.doesNotMatch(svg, /NaN/u);
    }
  });

  test("stack bars without gaps", () => {
    const svg = barPlot({
      title: "stack",
      y: { label: "ms" },
      groups: ["g"],
      isStacked: true,
      bars: [
        { name: "one", values: [30] },
        { name: "two", values: [70] },
      ],
    });
    const bars = [
      ...svg.matchAll(/y="([\d.]+)" width="[\d.]+" height="([\d.]+)" fill="#[\da-f]+"><title>/gu),
    ];
    const [lower, upper] = bars.map(([, y, height]) => ({ y: Number(y), height: Number(height) }));
    assert.ok(Math.abs(upper!.y + upper!.height - lower!.y) < 0.2);
    assert.ok(Math.abs(upper!.height / lower!.height - 7 / 3) < 0.05);
  });
});

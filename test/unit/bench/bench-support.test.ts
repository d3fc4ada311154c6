// Goal: what the benches compute with computes what it says.
import assert from "node:assert/strict";
import { describe, test } from "vitest";
import { countSyncs } from "../../../bench/changelog/sync-trace.ts";
import { Child } from "../../../bench/support/child.ts";
import { LatencyHistogram, closedLoopRate, runOpenLoop } from "../../../bench/support/open-loop.ts";
import { Zipf, zipfNumbers } from "../../../bench/support/sequences.ts";

describe("zipf", () => {
  test("gives each rank its share", () => {
    const count = 1000;
    const draws = 1_000_000;
    const found = new Float64Array(count);
    const zipf = new Zipf(count, 0.99, 7);
    for (let draw = 0; draw < draws; draw++) found[zipf.next()]!++;
    let zeta = 0;
    for (let rank = 1; rank <= count; rank++) zeta += rank ** -0.99;
    const shareOf = (first: number, last: number): [number, number] => {
      let expected = 0;
      for (let rank = first; rank <= last; rank++) expected += rank ** -0.99 / zeta;
      return [found.subarray(first - 1, last).reduce((sum, one) => sum + one, 0) / draws, expected];
    };
    // The two most frequent are exact; the rest is a curve that approximates them.
    for (const [first, last, tolerance] of [
      [1, 1, 0.01],
      [2, 2, 0.02],
      [3, 10, 0.1],
      [11, 100, 0.1],
      [101, 1000, 0.1],
    ] as const) {
      const [share, expected] = shareOf(first, last);
      assert.ok(Math.abs(share / expected - 1) < tolerance, `ranks ${first} to ${last}: ${share}`);
    }
  });

  test("shuffles which numbers are hot", () => {
    const numbers = zipfNumbers(100, 10_000, 0.99, 3);
    assert.ok(numbers.every((number) => number >= 0 && number < 100));
    const counts = new Map<number, number>();
    for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
    const [hottest] = [...counts].sort(([, a], [, b]) => b - a)[0]!;
    assert.notEqual(hottest, 0);
  });
});

describe("a histogram of latencies", () => {
  test("has every percentile within a 64th, from microseconds to minutes", () => {
    for (const scale of [0.001, 0.1, 1, 37, 200]) {
      const histogram = new LatencyHistogram();
      for (let value = 1; value <= 1000; value++) histogram.record(value * scale);
      assert.equal(histogram.count, 1000);
      for (const [percent, value] of [
        [50, 500],
        [99, 990],
        [99.9, 999],
        [100, 1000],
      ] as const) {
        const found = histogram.percentile(percent);
        const most = value * scale * (1 + 1 / 64) + 1e-4;
        assert.ok(found >= value * scale * (1 - 1e-9) && found <= most, `${found}, ${value}`);
      }
    }
  });

  test("is NaN without any, and takes what is beyond its ends", () => {
    const histogram = new LatencyHistogram();
    assert.ok(Number.isNaN(histogram.percentile(50)));
    histogram.record(-1);
    histogram.record(1e9);
    assert.equal(histogram.count, 2);
    assert.ok(histogram.percentile(100) > 200_000);
  });
});

describe("an open loop", () => {
  test("counts a stall for every record that it holds up", async () => {
    const histogram = new LatencyHistogram();
    const met: number[] = [];
    let nowMs = 1000;
    let hasStalled = false;
    await runOpenLoop({
      recordsPerMs: 10,
      durationMs: 100,
      process: (i) => met.push(i),
      between: async () => {
        if (met.length < 300 || hasStalled) return;
        hasStalled = true;
        nowMs += 50;
      },
      histogramOf: () => histogram,
      now: () => (nowMs += 0.01),
    });
    assert.deepEqual(
      met,
      Array.from({ length: 1000 }, (_, i) => i),
    );
    assert.equal(histogram.count, 1000);
    // 500 records were to start meanwhile, the first of them 50 ms before it could.
    assert.ok(histogram.maxMs >= 49.9 && histogram.maxMs < 52, `${histogram.maxMs}`);
    const quarter = histogram.percentile(75);
    assert.ok(quarter > 20 && quarter < 30, `${quarter}`);
    assert.ok(histogram.percentile(45) < 1, `${histogram.percentile(45)}`);
  });

  test("a closed one processes record after record", async () => {
    const met: number[] = [];
    const rate = await closedLoopRate(
      20,
      (i) => met.push(i),
      async () => undefined,
    );
    assert.ok(rate > 0 && met.length > 0);
    assert.ok(met.every((number, i) => number === i));
  });
});

describe("syncs in a trace", () => {
  const trace = (root: string): string =>
    [
      `11 fdatasync(20</bench/checkpoints/files/00aa>) = 0`,
      `11 fsync(20<${root}/marker>) = 0`,
      `12 fdatasync(20<${root}/checkpoints/files/00aa> <unfinished ...>`,
      `11 fsync(21<${root}/checkpoints/metadata/.temporary-0a>) = 0`,
      `12 <... fdatasync resumed>) = 0`,
      `11 fsync(22<${root}/checkpoints/files>) = 0`,
      `11 fsync(23<${root}/checkpoints/metadata>) = 0`,
      `11 fsync(23<${root}/working-3/db-1/000007.ldb>) = 0`,
      `11 fsync(20<${root}/marker>) = 0`,
      `11 fsync(23<${root}/checkpoints/metadata>) = 0`,
      "+++ exited with 0 +++",
    ].join("\n");

  test("are counted by what was synced, between the marks", () => {
    const expected = { data: 1, names: 1, metadata: 2, working: 1 };
    assert.deepEqual(countSyncs(trace("/bench"), "/bench"), expected);
  });

  test("need both marks, and only known paths", () => {
    assert.throws(() => countSyncs("", "/bench"), /0 marks/);
    assert.throws(() => countSyncs(trace("/bench"), "/elsewhere"), /0 marks/);
    const foreign = trace("/bench").replace("/bench/working-3", "/other");
    assert.throws(() => countSyncs(foreign, "/bench"), /not expected/);
  });
});

describe("a child process", () => {
  test("is told numbers that JSON has not, and answers them", async () => {
    const child = new Child(new URL("./echo.process.js", import.meta.url));
    try {
      const told = { rate: Number.POSITIVE_INFINITY, ratio: Number.NaN, bytes: new Uint8Array(3) };
      assert.deepEqual(await child.call("echo", told), told);
    } finally {
      await child.close();
    }
  });
});

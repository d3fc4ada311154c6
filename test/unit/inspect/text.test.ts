import assert from "node:assert/strict";
import { describe, test } from "vitest";
import type { StateSchema } from "../../../src/index.ts";
import { csvHeaderOf, csvLinesOf } from "../../../src/inspect/csv-text.ts";
import { EntryDecoder, type StoredEntry } from "../../../src/inspect/entry-decoder.ts";
import { FingerprintReader } from "../../../src/inspect/fingerprint.ts";
import { jsonLineOf, jsonOf } from "../../../src/inspect/json-text.ts";

function schemaOf(
  type: StateSchema["type"],
  serializers: readonly string[],
  namespaces = false,
): StateSchema {
  return { name: "s", id: 1, type, serializers, namespaces };
}

function entryOf(value: unknown, namespace?: string): StoredEntry {
  return { state: "s", keyGroup: 3, key: "k", namespace, value, isDecoded: true };
}

describe("values as JSON", () => {
  test("keep what JSON has no form for", () => {
    const cases: readonly [unknown, string][] = [
      [1.5, "1.5"],
      [-0, "-0"],
      [Number.NaN, `{"$number":"NaN"}`],
      [Number.NEGATIVE_INFINITY, `{"$number":"-Infinity"}`],
      [12n, `{"$bigint":"12"}`],
      [new Uint8Array([0, 255]), `{"$bytes":"00ff"}`],
      [new Uint16Array([1]), `{"$bytes":"0100"}`],
      [undefined, `{"$undefined":true}`],
      [null, "null"],
      ["\u001b\n", `"\\u001b\\n"`],
      [[1, undefined, "a"], `[1,{"$undefined":true},"a"]`],
      [{ a: undefined, b: 1 }, `{"b":1}`],
      [{ $bigint: "12" }, `{"$object":{"$bigint":"12"}}`],
      [new Map([[1n, new Set(["a"])]]), `{"$map":[[{"$bigint":"1"},{"$set":["a"]}]]}`],
      [new Date(0), `{"$date":"1970-01-01T00:00:00.000Z"}`],
      [new Date(Number.NaN), `{"$date":null}`],
    ];
    for (const [value, text] of cases) {
      assert.equal(jsonOf(value), text);
      JSON.parse(text);
    }
    const cycle: unknown[] = [1];
    cycle.push(cycle, { twice: [cycle] });
    assert.equal(jsonOf(cycle), `[1,{"$cycle":true},{"twice":[{"$cycle":true}]}]`);
    const shared = { a: 1 };
    assert.equal(jsonOf([shared, shared]), `[{"a":1},{"a":1}]`);
  });

  test("of a map with strings as keys are objects, in the order of the map", () => {
    const pairs = [
      ["b", 1],
      ["10", 2],
      ["__proto__", 3],
    ];
    const byText = jsonLineOf(entryOf(pairs), schemaOf("map", ["utf8", "f64"]));
    assert.equal(
      byText,
      `{"state":"s","keyGroup":3,"key":"k","value":{"b":1,"10":2,"__proto__":3}}`,
    );
    const byNumber = jsonLineOf(entryOf([[1, 2]]), schemaOf("map", ["i64", "f64"]));
    assert.equal(byNumber, `{"state":"s","keyGroup":3,"key":"k","value":[[1,2]]}`);
    const raw = { ...entryOf(new Uint8Array([1]), "n"), isDecoded: false };
    assert.equal(
      jsonLineOf(raw, schemaOf("value", ["mine"], true)),
      `{"state":"s","keyGroup":3,"key":"k","namespace":"n","value":{"$bytes":"01"},"raw":true}`,
    );
  });
});

describe("entries as CSV", () => {
  const decoderOf = (schema: StateSchema): EntryDecoder =>
    new EntryDecoder(schema, new FingerprintReader({}));

  test("have a column for each field of a struct, and quotes where they need them", () => {
    const decoder = decoderOf(schemaOf("value", ['struct{"a":utf8,"b,c":optional<u32>}'], true));
    assert.equal(csvHeaderOf(decoder), `key,namespace,a,"b,c"`);
    const entry = entryOf({ a: 'say "x"\n', "b,c": undefined }, "n");
    assert.deepEqual(csvLinesOf(entry, decoder), [`k,n,"say ""x""\n",`]);
  });

  test("have a line for each element and each map entry", () => {
    const list = decoderOf(schemaOf("list", ["i64"]));
    assert.equal(csvHeaderOf(list), "key,index,element");
    assert.deepEqual(csvLinesOf(entryOf([7, -0]), list), ["k,0,7", "k,1,-0"]);
    const map = decoderOf(schemaOf("map", ["bigint64", 'struct{"x":json}']));
    assert.equal(csvHeaderOf(map), "key,mapKey,x");
    assert.deepEqual(csvLinesOf(entryOf([[1n, { x: [1, "a"] }]]), map), [`k,1,"[1,""a""]"`]);
    const raw = decoderOf(schemaOf("value", ["mine"]));
    assert.deepEqual(csvLinesOf(entryOf(new Uint8Array([1, 2])), raw), ["k,0102"]);
  });
});

// Checkpoint metadata whose hash is right.
import type { ErrorCode } from "../../src/errors.ts";
import { concatenate } from "../../src/format/frame-sequence.ts";
import type { HostileCase, Objects } from "./case-files.ts";
import { type Bases, UNSUPPORTED, crafted } from "./case-spec.ts";
import { type Base, METADATA, ascii, frame, header, metadataOf, sealed, swap } from "./craft.ts";

type Edit = readonly [name: string, reason: string, from: string, to: string, code?: ErrorCode];

function only(metadata: Uint8Array): Objects {
  return new Map([[METADATA, metadata]]);
}

/** Ids that would be paths, if ids were ever paths. */
function idCases(base: Base): HostileCase[] {
  const ids: readonly (readonly [string, string, string])[] = [
    ["id-escapes", "an id that is a path upwards", "../../outside/bystander"],
    ["id-absolute", "an id that is an absolute path", "/etc/passwd"],
    ["id-escapes-in-length", "a path of an id's length", "../../../../../outside/bystander"],
    ["id-drive", "an id with a drive letter and backslashes", "C:\\\\windows\\\\system32"],
    ["id-nul", "an id with a NUL", `${"0".repeat(31)}\\u0000`],
    ["id-percent", "an id in percent-encoding", "%2e%2e%2f%2e%2e%2foutside%2fbyst"],
    ["id-lookalike", "an id of digits that look like digits", "\uff10".repeat(32)],
    ["id-upper-case", "an id in capitals", "ABCDEF".repeat(5) + "AB"],
    ["id-trailing-space", "an id that ends in a space", `${"0".repeat(31)} `],
    ["id-trailing-dot", "an id that ends in a dot", `${"0".repeat(31)}.`],
    ["id-control-name", "an id that is a file of LevelDB's", "CURRENT"],
    ["id-line-feed", "an id with a line feed", `${"0".repeat(31)}\\n`],
  ];
  return ids.map(([name, reason, id]) =>
    crafted("lsm", `metadata-${name}`, reason, only(metadataOf(swap(base.text, base.listId, id)))),
  );
}

const fields: readonly Edit[] = [
  [
    "field-proto",
    "__proto__ as a field",
    '{"checkpointId"',
    '{"__proto__":{"checkpointId":1},"checkpointId"',
    UNSUPPORTED,
  ],
  [
    "field-constructor",
    "constructor as a field",
    '{"checkpointId"',
    '{"constructor":{},"checkpointId"',
    UNSUPPORTED,
  ],
  [
    "field-prototype",
    "prototype as a field of a handle",
    '{"keyGroups"',
    '{"prototype":{},"keyGroups"',
    UNSUPPORTED,
  ],
  [
    "user-proto",
    "__proto__ in the user's metadata",
    '{"offset":3}',
    '{"__proto__":{"isAdmin":true}}',
  ],
  [
    "extension-proto",
    "__proto__ in the extensions",
    '{"offset":3}',
    '{"offset":3},"extensions":{"__proto__":{}}',
  ],
  ["extension-list", "extensions that are a list", '{"offset":3}', '{"offset":3},"extensions":[]'],
  [
    "field-unknown",
    "an unknown field",
    '{"checkpointId"',
    '{"command":"rm","checkpointId"',
    UNSUPPORTED,
  ],
  [
    "field-unknown-in-base",
    "an unknown field of a base",
    '"totalBytes"',
    '"path":"/","totalBytes"',
    UNSUPPORTED,
  ],
  [
    "field-twice",
    "a field twice, the second of another value",
    '"checkpointId":1,',
    '"checkpointId":2,"checkpointId":1,',
  ],
  ["field-spelled", "a field in another spelling", '"changeNumber"', '"ChangeNumber"', UNSUPPORTED],
  ["white-space", "white space between fields", ',"policy"', ', "policy"'],
  ["number-infinite", "a number beyond all", '"checkpointId":1,', '"checkpointId":1e400,'],
  ["number-negative", "a negative number", '"checkpointId":1,', '"checkpointId":-1,'],
  ["number-negative-zero", "a zero with a sign", '"offset":3', '"offset":-0'],
  ["number-fraction", "a fraction", '"checkpointId":1,', '"checkpointId":1.5,'],
  [
    "number-unsafe",
    "a number that is not exact",
    '"checkpointId":1,',
    '"checkpointId":9007199254740993,',
  ],
  ["number-text", "a text for a number", '"checkpointId":1,', '"checkpointId":"1",'],
  ["number-exponent", "another spelling of a number", '"checkpointId":1,', '"checkpointId":1e0,'],
  [
    "completion-number",
    "the completion number of another object",
    '"completionNumber":1,',
    '"completionNumber":2,',
  ],
  [
    "oldest-retained",
    "a retention that begins in the future",
    '"oldestRetained":1,',
    '"oldestRetained":2,',
  ],
  [
    "groups-reversed",
    "key groups that are reversed",
    '"first":0,"last":127',
    '"first":127,"last":0',
  ],
  ["groups-beyond", "key groups beyond their number", '"last":127', '"last":128'],
  ["groups-many", "more key groups than there can be", '"max":128', '"max":32769'],
  [
    "policy-unknown",
    "an unknown policy",
    '"policy":"incremental"',
    '"policy":"eventually"',
    UNSUPPORTED,
  ],
  [
    "policy-proto",
    "a policy that every object has",
    '"policy":"incremental"',
    '"policy":"__proto__"',
    UNSUPPORTED,
  ],
  [
    "backend-unknown",
    "an unknown backend",
    '"backendKind":"lsm"',
    '"backendKind":"rocksdb"',
    UNSUPPORTED,
  ],
  ["base-unknown", "an unknown kind of base", '"kind":"sst-set"', '"kind":"script"', UNSUPPORTED],
  ["base-other", "a base of another kind than its list", '"kind":"sst-set"', '"kind":"dump"'],
  ["segments", "a changelog segment", '"segments":[]', '"segments":["x"]', UNSUPPORTED],
  ["list-length-huge", "a file list of a petabyte", '"lengthBytes":', '"lengthBytes":900000000000'],
  ["total-bytes", "a total that its list does not give", '"totalBytes":', '"totalBytes":1'],
  ["file-count", "a million files, of which one is listed", '"fileCount":1', '"fileCount":1000000'],
  ["file-count-beyond", "more files than there can be", '"fileCount":1', '"fileCount":1000001'],
  ["state-type-unknown", "an unknown type of state", '"type":"map"', '"type":"shell"', UNSUPPORTED],
  ["state-name-surrogate", "a name that is no text", '"name":"by"', '"name":"\\ud800"'],
  ["state-name-long", "a name that is too long", '"name":"by"', `"name":"${"x".repeat(257)}"`],
  [
    "state-id-twice",
    "a state that comes twice",
    '"states":[',
    '"states":[{"name":"by","id":2001322039,"type":"value","serializers":["f64"],"namespaces":false},',
  ],
  ["state-id-other", "a state under the id of another name", '"id":2001322039', '"id":2001322040'],
  ["serializers-none", "a state without a serializer", '"serializers":["f64"]', '"serializers":[]'],
  [
    "serializer-long",
    "a serializer's name that is too long",
    '"serializers":["f64"]',
    `"serializers":["${"x".repeat(1025)}"]`,
  ],
  ["namespaces-text", "a text for a boolean", '"namespaces":true', '"namespaces":"true"'],
];

function textCases(base: Base): HostileCase[] {
  return fields.map(([name, reason, from, to, code]) =>
    crafted("lsm", `metadata-${name}`, reason, only(metadataOf(swap(base.text, from, to))), code),
  );
}

/** A second handle beside the only one. */
function handleCases(base: Base): HostileCase[] {
  const [handle] = /\{"keyGroups".*\}\](?=,"segments")/.exec(base.text)!;
  const one = handle.slice(0, -1);
  const with2 = (first: string, second: string): Objects =>
    only(metadataOf(swap(base.text, handle, `${first},${second}]`)));
  const other = swap(one, base.listId, "1".repeat(32));
  const lower = swap(one, '"last":127', '"last":63');
  const upper = swap(other, '"first":0', '"first":64');
  return [
    crafted(
      "lsm",
      "metadata-handles-none",
      "no handle",
      only(metadataOf(swap(base.text, handle, "]"))),
    ),
    crafted(
      "lsm",
      "metadata-handles-overlap",
      "two handles of the same key groups",
      with2(one, other),
    ),
    crafted(
      "lsm",
      "metadata-handles-share-list",
      "two handles of one file list",
      with2(lower, swap(upper, "1".repeat(32), base.listId)),
    ),
    crafted(
      "lsm",
      "metadata-handles-disagree",
      "handles of different numbers of key groups",
      with2(lower, swap(upper, '"max":128', '"max":256')),
    ),
    crafted(
      "lsm",
      "metadata-handle-list-missing",
      "a handle whose list is nowhere",
      with2(lower, upper),
    ),
  ];
}

function formCases(base: Base): HostileCase[] {
  const json = Buffer.from(base.text);
  const start = header("VARVECHK");
  const whole = base.object(METADATA);
  const bomb = frame(ascii("\u0010".repeat(64)), { codec: 1, rawLength: 67_108_864 });
  const deep = "[".repeat(2000) + "]".repeat(2000);
  const forms: readonly (readonly [string, string, Uint8Array, ErrorCode?])[] = [
    [
      "nested",
      "JSON of 2,000 lists in each other",
      metadataOf(swap(base.text, '{"offset":3}', deep)),
    ],
    ["not-json", "text that is not JSON", metadataOf(base.text.slice(0, -1))],
    ["not-object", "JSON that is no object", metadataOf("[]")],
    [
      "not-utf8",
      "bytes that are not UTF-8",
      metadataOf(Buffer.from(base.text.replace("by", "\xff\xfe"), "latin1")),
    ],
    ["byte-order-mark", "a byte order mark", metadataOf(`\ufeff${base.text}`)],
    ["bytes-follow", "bytes after the JSON", metadataOf(`${base.text}\n`)],
    ["bytes-follow-frame", "bytes after the frame", sealed(start, frame(json), ascii("more"))],
    ["bytes-follow-hash", "bytes after the hash", concatenate([whole, ascii("more")])],
    ["empty", "no byte", new Uint8Array(0)],
    ["header-only", "a header and its hash", sealed(start)],
    ["magic", "another magic", sealed(header("VARVECHX"), frame(json))],
    ["version", "a later version", sealed(header("VARVECHK", 2), frame(json)), UNSUPPORTED],
    ["reserved", "reserved bytes in use", sealed(header("VARVECHK", 1, 7), frame(json))],
    [
      "frame-reserved",
      "reserved bytes of the frame in use",
      sealed(start, frame(json, { reserved: 1 })),
    ],
    [
      "frame-encrypted",
      "an encrypted frame",
      sealed(start, frame(json, { encryption: 1 })),
      UNSUPPORTED,
    ],
    ["frame-codec", "an unknown codec", sealed(start, frame(json, { codec: 2 })), UNSUPPORTED],
    [
      "frame-long",
      "a frame longer than its file",
      sealed(start, frame(json, { storedLength: 0xffff_ffff, rawLength: 0xffff_ffff })),
    ],
    ["frame-lengths", "a raw frame of two lengths", sealed(start, frame(json, { rawLength: 1 }))],
    ["frame-bomb", "a frame of 64 bytes that says to be 64 MiB", sealed(start, bomb)],
    [
      "frame-compressed",
      "a compressed frame",
      sealed(start, frame(json, { codec: 1, rawLength: json.length * 2 })),
    ],
  ];
  return forms.map(([name, reason, bytes, code]) =>
    crafted("lsm", `metadata-${name}`, reason, only(bytes), code),
  );
}

/** Legal, but for a job that declares its states otherwise. */
function serializerCase(base: Base): HostileCase {
  const nested = `${"optional<".repeat(100)}f64${">".repeat(100)}`;
  const text = swap(
    base.text,
    '"type":"value","serializers":["f64"]',
    `"type":"value","serializers":["${nested}"]`,
  );
  return crafted(
    "lsm",
    "metadata-serializer-nested",
    "a serializer of a hundred in each other, which is not the job's",
    only(metadataOf(text)),
    "VARVE_INCOMPATIBLE_SERIALIZER",
    { refusedAt: "reading", scanMayPass: true },
  );
}

export function metadataCases({ lsm, canonical }: Bases): HostileCase[] {
  const mark = swap(canonical.text, '"canonical"}}', '"tar"}}');
  const marked = crafted(
    "canonical",
    "metadata-mark-unknown",
    "a savepoint of an unknown format",
    only(metadataOf(mark)),
    UNSUPPORTED,
  );
  return [
    ...idCases(lsm),
    ...textCases(lsm),
    ...handleCases(lsm),
    ...formCases(lsm),
    serializerCase(lsm),
    marked,
  ];
}

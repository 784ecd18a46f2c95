// Reads one JSON Schema from stdin and writes its types, and those of its definitions, to stdout.
import { text } from "node:stream/consumers";
import { compile } from "json-schema-to-typescript";

// What the compiler adds to each type's comment says only where the schema stood.
const ORIGIN = /( \*\n)? \* This interface was referenced by `.*\n \* via the `definition` ".*"\.\n/g;

// An object without named properties holds anything; one with them shows only those.
const opened = (_key, value) =>
  value?.type === "object" && !value.properties ? { additionalProperties: true, ...value } : value;

const schema = JSON.parse(await text(process.stdin), opened);
const types = await compile(schema, schema.title, {
  additionalProperties: false,
  bannerComment: "",
  style: { printWidth: 120 },
  unreachableDefinitions: true,
});
process.stdout.write(types.replace(ORIGIN, "").replace(/\/\*\*\n \*\/\n/g, ""));

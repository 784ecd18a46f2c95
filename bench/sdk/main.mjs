/**
 * Real SDK clients under load: `node main.mjs '<plan as JSON>'` plays one plan and tells it on stdout, one JSON object
 * a line.
 *
 *   {phase: "joining" | "warmup" | "measuring" | "settling"}   as each begins
 *   {acks: [[roomId, roomSeq, sessionId, seq], ...]}           the acks of the run, in several lines
 *   {result: {...}}                                            a Result (`server/tools/bots/result.py`), without the
 *                                                              machine, the server and the assertions
 */
import { Crowd } from "./crowd.mjs";
import { Records } from "./records.mjs";

/** Between the last join and the first intent. */
const START_MS = 500;
const ACKS_A_LINE = 1_000;

/** Once it is written: an exit would cut short what still waits for its reader. */
const say = (what) => new Promise((resolve) => process.stdout.write(`${JSON.stringify(what)}\n`, resolve));
// The SDK tells its reconnects to the console.
console.info = console.warn = console.log = () => {};

const plan = JSON.parse(process.argv[2]);
const records = new Records();
const crowd = new Crowd(plan, records);

await say({ phase: "joining" });
const clients = await crowd.join();
const begin = performance.now() + START_MS;
records.begin(begin + plan.warmupS * 1000, plan.durationS);
await say({ phase: "warmup" });
await crowd.play(begin, records.from);
await say({ phase: "measuring" });
const cpuBefore = process.cpuUsage();
await crowd.play(begin, records.to);
const cpu = process.cpuUsage(cpuBefore);
await say({ phase: "settling" });
const unanswered = await crowd.settle();
await crowd.check();
await crowd.leave();
for (let at = 0; at < records.acks.length; at += ACKS_A_LINE) {
  await say({ acks: records.acks.slice(at, at + ACKS_A_LINE) });
}
const botsCpuS = (cpu.user + cpu.system) / 1e6;
await say({ result: { plan, ...records.result(plan.durationS, clients, unanswered), botsCpuS } });
process.exit(0);

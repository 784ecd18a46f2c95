/** Records: what all clients saw, and the figures made of it. Times are of `performance.now()`, in ms. */

/** Problems kept in words; further ones are counted. */
const PROBLEMS_MAX = 20;
const QUANTILES = [["p50", 0.5], ["p90", 0.9], ["p99", 0.99], ["p999", 0.999]];

export class Records {
  /** The measured time; all before is warm-up. An intent belongs to it if it was due in it. */
  from = Infinity;
  to = Infinity;
  lost = 0;
  doubled = 0;
  gaps = 0;
  diverged = 0;
  reconnects = 0;
  errors = {};
  problems = [];
  problemCount = 0;
  /** Every ack of the run: [roomId, roomSeq, sessionId, seq]. */
  acks = [];
  #sent = 0;
  #acked = 0;
  #duplicates = 0;
  #rejected = {};
  #ackMs = [];
  #seenMs = [];
  #lateMs = [];
  #framesIn = 0;
  #bytesOut = 0;
  #seconds = [];

  begin(from, durationS) {
    this.from = from;
    this.to = from + durationS * 1000;
    const none = () => ({ sent: 0, acked: 0, rejected: 0, ackMs: [], seenMs: [], bytesIn: 0 });
    this.#seconds = Array.from({ length: Math.ceil(durationS) }, none);
  }

  // -- of an intent, due at `due` ---------------------------------------------------------------------------------

  asked(due, now) {
    if (!this.#isMeasured(due)) return;
    this.#sent += 1;
    this.#lateMs.push(now - due);
    this.#count(now, "sent");
  }

  acked(due, now, isDuplicate) {
    if (!this.#isMeasured(due)) return;
    this.#acked += 1;
    if (isDuplicate) this.#duplicates += 1;
    this.#ackMs.push(now - due);
    this.#count(now, "acked");
    this.#secondOf(now)?.ackMs.push(now - due);
  }

  rejected(due, now, code) {
    if (!this.#isMeasured(due)) return;
    this.#rejected[code] = (this.#rejected[code] ?? 0) + 1;
    this.#count(now, "rejected");
  }

  seen(due, now) {
    if (!this.#isMeasured(due)) return;
    this.#seenMs.push(now - due);
    this.#secondOf(now)?.seenMs.push(now - due);
  }

  // -- of a frame ---------------------------------------------------------------------------------------------------

  frameIn(bytes, now) {
    const second = this.#secondOf(now);
    if (second === undefined) return;
    second.bytesIn += bytes;
    this.#framesIn += 1;
  }

  frameOut(bytes, now) {
    if (this.#secondOf(now) !== undefined) this.#bytesOut += bytes;
  }

  // -- of what goes wrong -------------------------------------------------------------------------------------------

  error(what) {
    this.errors[what] = (this.errors[what] ?? 0) + 1;
  }

  problem(words) {
    this.problemCount += 1;
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(words);
  }

  /** Of the measured time, in the names of a Result; `seconds` were measured. */
  result(seconds, clients, unanswered) {
    const bytesIn = this.#seconds.reduce((sum, second) => sum + second.bytesIn, 0);
    const { lost, doubled, gaps, diverged, reconnects, errors, problems, problemCount } = this;
    return {
      startedAt: Math.round(performance.timeOrigin + this.from),
      seconds,
      sent: this.#sent,
      acked: this.#acked,
      duplicates: this.#duplicates,
      unanswered,
      ackedPerS: this.#acked / seconds,
      rejected: this.#rejected,
      ackMs: spread(this.#ackMs),
      seenMs: spread(this.#seenMs),
      lateMs: spread(this.#lateMs),
      framesIn: this.#framesIn,
      bytesIn,
      bytesOut: this.#bytesOut,
      bytesInPerClientS: bytesIn / clients / seconds,
      timeline: this.#seconds.map(told),
      ...{ lost, doubled, gaps, diverged, reconnects, errors, problems, problemCount },
    };
  }

  #isMeasured(due) {
    return due >= this.from && due < this.to;
  }

  #secondOf(now) {
    return this.#seconds[Math.floor((now - this.from) / 1000)];
  }

  #count(now, what) {
    const second = this.#secondOf(now);
    if (second !== undefined) second[what] += 1;
  }
}

const told = ({ sent, acked, rejected, ackMs, seenMs, bytesIn }, index) => ({
  atS: index + 1,
  ...{ sent, acked, rejected, bytesIn },
  ackP50Ms: spread(ackMs).p50,
  ackP99Ms: spread(ackMs).p99,
  seenP99Ms: spread(seenMs).p99,
});

/** Nearest-rank percentiles; all 0 where nothing was counted. */
function spread(values) {
  const ranked = Float64Array.from(values).sort();
  const { length: count } = ranked;
  const at = (share) => ranked[Math.ceil(share * count) - 1] ?? 0;
  const mean = count === 0 ? 0 : ranked.reduce((sum, value) => sum + value, 0) / count;
  return { count, mean, ...Object.fromEntries(QUANTILES.map(([name, share]) => [name, at(share)])), max: at(1) };
}

/**
 * Rendezvous ranking: how much a child is wanted for a shard, the same at every start.
 *
 * Every (shard, child) pair has a fixed score and a shard prefers the child of the highest one, so
 * a child that joins or leaves changes the preference of its own share only (Thaler and
 * Ravishankar, "Using name-based mappings to increase hit rates", 1998).
 */

/** Spreads consecutive numbers apart before they are mixed: 2^32 divided by the golden ratio. */
const GOLDEN = 0x9e3779b9

/** A pseudo-random 32-bit score; equal scores are rare and settled by the lower child id. */
export function score(shard: number, child: number): number {
  return mix(mix(Math.imul(shard + 1, GOLDEN)) ^ Math.imul(child + 1, GOLDEN))
}

/** Orders children by preference for the shard, the most wanted first. */
export function byPreference(shard: number): (left: number, right: number) => number {
  return (left, right) => score(shard, right) - score(shard, left) || left - right
}

/** The 32-bit finalizer of MurmurHash3 (Austin Appleby, public domain): each bit moves half. */
function mix(value: number): number {
  let bits = value | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}

/**
 * How many copies of a shard there can be, and how many have to be in sync.
 */

/** Copies in sync below which writes wait, if nothing else was said. */
export function defaultMinInSync(copies: number): number {
  return Math.min(2, copies)
}

/** Throws a `TypeError` if so many copies can't be in different children and on different volumes. */
export function assertRoomForCopies(copies: number, volumes: number, children: number): void {
  if (children < copies) {
    throw new TypeError(
      `replicationFactor is ${copies} and children ${children}: each copy is in another child`,
    )
  }
  if (volumes > 1 && volumes < copies) {
    throw new TypeError(
      `replicationFactor is ${copies} and there are ${volumes} volumes: each copy is on another one, unless there is one for all`,
    )
  }
}

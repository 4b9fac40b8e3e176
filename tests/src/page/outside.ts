/**
 * What a page asks of the test around it: things that no page can do.
 */
export type Deed =
  /** Cut every line to the node without a word. */
  | 'cut'
  /** Hold back what the node says. */
  | 'hold'
  /** Once the node has answered, cut, and hold nothing back any more. */
  | 'cut when held'
  | 'kill a child'

/** The name under which the test puts itself into the page. */
export const OUTSIDE = 'kvOutside'

/** Resolves once it is done. */
export async function outside(deed: Deed): Promise<void> {
  const perform = Reflect.get(globalThis, OUTSIDE) as (deed: Deed) => Promise<void>
  await perform(deed)
}

/**
 * A node that can't be watched: loaded before its program, in the coordinator and in each child, this
 * takes out whatever a shard does because somebody might watch it. What `watch-cost` compares with.
 *
 * What is replaced must be there: a comparison with what is the same would find no difference for ever.
 */
type Method = (this: unknown, ...args: never[]) => unknown
type Methods = Record<string, Method>

async function methodsOf(file: string, name: string): Promise<Methods> {
  const { href } = new URL(file, import.meta.resolve('@kv/node'))
  const found = ((await import(href)) as Record<string, { readonly prototype: Methods }>)[name]
  if (found === undefined) throw new Error(`${file} exports no ${name}`)
  return found.prototype
}

function replace(of: Methods, name: string, by: Method): void {
  if (typeof of[name] !== 'function') throw new Error(`there is no method ${name} to replace`)
  of[name] = by
}

/** A commit looks for nobody. How far it has come is asked for by others, too. */
replace(await methodsOf('shard/feed/watchers.js', 'Watchers'), 'onCommit', function (
  this: { committedRevision: number },
  group: { readonly lastRevision: number },
) {
  this.committedRevision = group.lastRevision
} as Method)
/** No account is kept of what watchers that are behind may still want, and nothing is kept for them. */
replace(await methodsOf('shard/feed/log-keeper.js', 'LogKeeper'), 'onFrame', () => {})
replace(await methodsOf('shard/feed/history.js', 'History'), 'keepFrom', () => Infinity)
/** Nobody looks twice a second for who should hear how far a shard has come. */
replace(await methodsOf('child/clients.js', 'Clients'), 'tellProgress', () => {})

/**
 * The classes of the built node as this process will use them, and how a method of one is replaced.
 * Whatever is not there any more is an error: what changes nothing would find nothing for ever.
 */
export type Method = (this: unknown, ...args: unknown[]) => unknown
export type Methods = Record<string, Method>

const BUILT = import.meta.resolve('@kv/node')

/** What a file of the built node exports under this name. */
export async function exportOf(file: string, name: string): Promise<unknown> {
  const module = (await import(new URL(file, BUILT).href)) as Record<string, unknown>
  const found = module[name]
  if (found === undefined) throw new Error(`${file} exports no ${name}`)
  return found
}

/** The prototype of a class. */
export async function prototypeOf(file: string, name: string): Promise<Methods> {
  return ((await exportOf(file, name)) as { readonly prototype: Methods }).prototype
}

/** A class itself, for its static methods. */
export async function classOf(file: string, name: string): Promise<Methods> {
  return (await exportOf(file, name)) as Methods
}

export function replace(of: Methods, name: string, make: (real: Method) => Method): void {
  const real = of[name]
  if (typeof real !== 'function') throw new Error(`there is no method ${name} to replace`)
  of[name] = make(real)
}

export function replaceGetter(of: object, name: string, get: (self: unknown) => unknown): void {
  if (Object.getOwnPropertyDescriptor(of, name)?.get === undefined) {
    throw new Error(`there is no getter ${name} to replace`)
  }
  Object.defineProperty(of, name, {
    get(this: unknown) {
      return get(this)
    },
  })
}

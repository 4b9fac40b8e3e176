// `npm run soak`: installs and builds what is needed, then keeps a node busy and watches what it uses.
import { runBuilt } from './run-built.mjs'

runBuilt('tests/dist/soak/main.js')

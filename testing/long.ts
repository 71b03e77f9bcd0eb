/** Whether all cases are wanted: `npm run test:long`. */
export const LONG = Boolean(process.env.NETWHY_LONG);

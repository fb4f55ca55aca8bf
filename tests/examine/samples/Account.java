package bank;

/** Money of one owner. */
public class Account {
    private long cents;

    /** Throws if there is not enough. */
    public void withdraw(long amount) throws IllegalStateException {
        if (amount > cents) {
            throw new IllegalStateException("not enough");
        }
        cents -= amount;
    }
}

package varve.rivals;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** The inputs, bit for bit those of bench/support/sequences.ts. */
final class Sequences {
    static final int KEY_BYTES = 20;

    private Sequences() {}

    static int xorshift32(int state) {
        int x = state;
        x ^= x << 13;
        x ^= x >>> 17;
        x ^= x << 5;
        return x;
    }

    /** The numbers base … base + count - 1 in an order fixed by the seed. */
    static int[] shuffled(int count, int base, int seed) {
        int[] numbers = new int[count];
        for (int i = 0; i < count; i++) numbers[i] = base + i;
        int x = seed;
        for (int i = count - 1; i >= 1; i--) {
            x = xorshift32(x);
            int other = (int) (Integer.toUnsignedLong(x) % (i + 1));
            int number = numbers[i];
            numbers[i] = numbers[other];
            numbers[other] = number;
        }
        return numbers;
    }

    /** Incompressible bytes that depend on key and version only. */
    static void fillBytes(byte[] target, int length, int key, int version) {
        int x = (key * 0x9e3779b1 + version) | 1;
        for (int i = 0; i < length; i += 4) {
            x = xorshift32(x);
            for (int j = 0; j < 4 && i + j < length; j++) target[i + j] = (byte) (x >>> (8 * j));
        }
    }

    /** Absence counts as -1.5. */
    static int fold(int checksum, double value) {
        long bits = Double.doubleToRawLongBits(value);
        int low = (checksum ^ (int) bits) * 0x9e3779b1;
        return (low ^ (low >>> 15) ^ (int) (bits >>> 32)) * 0x85ebca6b;
    }

    static int fold(int checksum, byte[] value, int length) {
        int folded = checksum;
        for (int i = 0; i < length; i++) folded = fold(folded, value == null ? -1.5 : value[i] & 0xff);
        return folded;
    }

    /** The bytes of "user-" and fifteen digits of each number, as a stream would bring them. */
    static byte[] stringKeys(int[] numbers) {
        byte[] bytes = new byte[numbers.length * KEY_BYTES];
        for (int position = 0; position < numbers.length; position++) {
            byte[] text =
                    String.format("user-%015d", numbers[position]).getBytes(StandardCharsets.ISO_8859_1);
            System.arraycopy(text, 0, bytes, position * KEY_BYTES, KEY_BYTES);
        }
        return bytes;
    }

    static String stringKey(byte[] bytes, int position) {
        return new String(bytes, position * KEY_BYTES, KEY_BYTES, StandardCharsets.ISO_8859_1);
    }

    /** Little-endian 32-bit numbers, written by who compares. */
    static int[] numbersIn(String path) throws Exception {
        ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(Path.of(path)));
        int[] numbers = new int[bytes.remaining() / 4];
        bytes.order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(numbers);
        return numbers;
    }
}

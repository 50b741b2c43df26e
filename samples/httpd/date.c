/* Dates as HTTP writes them.
 *
 * The calendar is counted in years that begin in March, so that the day that leap years add is their last;
 * 400 such years are an era of 146,097 days, after which everything repeats.
 */
#include "date.h"

#include <stdio.h>
#include <string.h>

enum { DAYS_OF_ERA = 146097, DAYS_FROM_YEAR_0 = 719468 /* from 0000-03-01 to 1970-01-01 */ };

static const char weekday_names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char month_names[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct date {
    int year, month, day; /* January and the first are 1 */
    int weekday;          /* Sunday is 0 */
    int hour, minute, second;
};

static struct date date_of(int64_t seconds)
{
    const int64_t least = INT64_C(-62135596800); /* 0001-01-01 */
    const int64_t most = INT64_C(253402300799);  /* 9999-12-31 */
    seconds = seconds < least ? least : seconds > most ? most : seconds;
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    int rest = (int)(seconds - days * 86400);
    int day = (int)(days + DAYS_FROM_YEAR_0); /* never negative here */
    int era = day / DAYS_OF_ERA;
    int of_era = day % DAYS_OF_ERA;
    int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (5 * of_year + 2) / 153; /* March is 0 */
    return (struct date){
        .year = year + era * 400 + (month >= 10),
        .month = month < 10 ? month + 3 : month - 9,
        .day = of_year - (153 * month + 2) / 5 + 1,
        .weekday = (day + 3) % 7, /* 0000-03-01 was a Wednesday */
        .hour = rest / 3600,
        .minute = rest / 60 % 60,
        .second = rest % 60,
    };
}

static int64_t seconds_of(const struct date *date)
{
    int year = date->month <= 2 ? date->year - 1 : date->year;
    int month = date->month <= 2 ? date->month + 9 : date->month - 3;
    int64_t days = 365 * (int64_t)year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + date->day - 1;
    return (days - DAYS_FROM_YEAR_0) * 86400 + date->hour * 3600 + date->minute * 60 + date->second;
}

/* A number of two digits, or four, which a compiler that measures what is printed can see. */
static unsigned two(int number)
{
    return (unsigned)number % 100u;
}

static unsigned four(int number)
{
    return (unsigned)number % 10000u;
}

void date_write(int64_t seconds, char text[DATE_TEXT_SIZE])
{
    struct date date = date_of(seconds);
    snprintf(text, DATE_TEXT_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", weekday_names[date.weekday], two(date.day),
             month_names[date.month - 1], four(date.year), two(date.hour), two(date.minute), two(date.second));
}

void date_write_log(int64_t seconds, char text[DATE_TEXT_SIZE])
{
    struct date date = date_of(seconds);
    snprintf(text, DATE_TEXT_SIZE, "%02u/%s/%04u:%02u:%02u:%02u +0000", two(date.day), month_names[date.month - 1],
             four(date.year), two(date.hour), two(date.minute), two(date.second));
}

/* --- Reading: each function takes what it reads off the piece, or makes its data NULL ----------------------------- */

static void take_failed(struct piece *piece)
{
    *piece = (struct piece){NULL, 0};
}

static void take_string(struct piece *piece, const char *string)
{
    size_t size = strlen(string);
    if (piece->size < size || memcmp(piece->data, string, size) != 0) {
        take_failed(piece);
        return;
    }
    piece->data += size;
    piece->size -= size;
}

static int take_number(struct piece *piece, size_t digits)
{
    int64_t number = 0;
    if (piece->size < digits || !piece_read_number((struct piece){piece->data, digits}, &number)) {
        take_failed(piece);
        return 0;
    }
    piece->data += digits;
    piece->size -= digits;
    return (int)number;
}

static int take_month(struct piece *piece)
{
    for (int i = 0; i < 12 && piece->size >= 3; i++) {
        if (memcmp(piece->data, month_names[i], 3) == 0) {
            take_string(piece, month_names[i]);
            return i + 1;
        }
    }
    take_failed(piece);
    return 0;
}

static void take_time(struct piece *piece, struct date *date)
{
    date->hour = take_number(piece, 2);
    take_string(piece, ":");
    date->minute = take_number(piece, 2);
    take_string(piece, ":");
    date->second = take_number(piece, 2);
}

static void take_weekday(struct piece *piece)
{
    while (piece->size > 0 && *piece->data != ',' && *piece->data != ' ') {
        piece->data++;
        piece->size--;
    }
}

bool date_read(struct piece piece, int64_t *seconds)
{
    struct date date = {0};
    take_weekday(&piece);
    if (piece.size > 2 && piece.data[0] == ',') {
        take_string(&piece, ", ");
        date.day = take_number(&piece, 2);
        bool old = piece.size > 0 && piece.data[0] == '-';
        take_string(&piece, old ? "-" : " ");
        date.month = take_month(&piece);
        take_string(&piece, old ? "-" : " ");
        date.year = take_number(&piece, old ? 2 : 4);
        if (old)
            date.year += date.year < 70 ? 2000 : 1900;
        take_string(&piece, " ");
        take_time(&piece, &date);
        take_string(&piece, " GMT");
    } else {
        take_string(&piece, " ");
        date.month = take_month(&piece);
        take_string(&piece, " ");
        if (piece.size > 0 && piece.data[0] == ' ') {
            take_string(&piece, " ");
            date.day = take_number(&piece, 1);
        } else {
            date.day = take_number(&piece, 2);
        }
        take_string(&piece, " ");
        take_time(&piece, &date);
        take_string(&piece, " ");
        date.year = take_number(&piece, 4);
    }
    if (!piece.data || piece.size > 0 || date.year < 1 || date.day < 1 || date.day > 31 || date.hour > 23 ||
        date.minute > 59 || date.second > 60)
        return false;
    *seconds = seconds_of(&date);
    return true;
}
